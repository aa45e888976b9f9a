//! The simulator of integrators.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use rstest::rstest;
use traffic::integrator::Integrator;

use super::support::{
    ADMIN_TOKEN, CHANNEL, Engine, Installation, PASSWORD, USER, bare_command, run, text,
};

#[rstest]
#[tokio::test]
async fn simulated_messages_are_shown_as_they_were_sent(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let home = Installation::new(engine).await;
    home.add_channel();
    let server = home.serve();
    let line = format!(
        "simulate --url {} --user {USER} --password-stdin --messages 150 --rate 2000 --seed 7 \
         --admin-url {}",
        server.report_url(),
        server.operator
    );
    let output = home.run_with_input(&line, PASSWORD);
    assert!(
        output.status.success(),
        "{}\n{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    // With another password no report is accepted.
    let output = home.run_with_input(&line, "not the password");
    assert!(!output.status.success());
}

const APP_SECRET: &str = "0123456789abcdef0123456789abcdef";

#[rstest]
#[tokio::test]
async fn traffic_of_all_integrators_at_once_is_shown_as_it_was_sent(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let home = Installation::new(engine).await;
    let secret = home.folder.path().join("app-secret");
    std::fs::write(&secret, APP_SECRET).unwrap();
    let mut channels = Vec::new();
    for integrator in Integrator::ALL {
        let (name, id) = (integrator.name(), format!("channel-{}", integrator.name()));
        let mut line = format!(
            "channel add {id} --name {name} --integrator {name} --user {USER} \
             --password-stdin"
        );
        if integrator == Integrator::Meta {
            line = format!("{line} --signature-token-file {}", secret.display());
        }
        let output = home.run_with_input(&line, PASSWORD);
        assert!(output.status.success(), "{}", text(&output.stderr));
        channels.push((integrator, id));
    }
    let server = home.serve();
    let urls: Vec<_> = channels
        .iter()
        .map(|(integrator, id)| {
            let word = if *integrator == Integrator::Gupshup {
                "message"
            } else {
                "report"
            };
            let name = integrator.name();
            let base = match integrator {
                // Signs with the app secret, which is not the password of the others.
                Integrator::Meta => {
                    let user_info = format!("http://{USER}:{APP_SECRET}@");
                    server.public.replace("http://", &user_info)
                }
                _ => server.public.clone(),
            };
            format!("--url {base}/social/on/whatsapp/{name}/{word}/{id}")
        })
        .collect();
    let line = format!(
        "--json simulate {} --user {USER} --password-stdin --messages 500 --rate 2000 --seed 7 \
         --connections 8 --settle 20 --admin-url {}",
        urls.join(" "),
        server.operator
    );
    let output = home.run_with_input(&line, PASSWORD);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    let summary: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(summary["messages"], 500);
    assert_eq!(summary["reports"], summary["reports_taken"]);
    assert!(summary["redelivered"].as_u64() > Some(10), "{stdout}");
    assert!(summary["answers"]["200"].as_u64() > Some(100), "{stdout}");
}

/// Returns an address at which nothing listens.
fn closed_address() -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap()
}

#[test]
fn simulator_stops_at_once_when_nothing_answers() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!(
        "http://u:p@{}/social/on/whatsapp/twilio/report/1#rc=5&rp=all",
        closed_address()
    );
    let admin = format!("http://{}", closed_address());
    let mut command = bare_command(&format!("simulate --url {url} --admin-url {admin}"));
    command
        .current_dir(folder.path())
        .env("RECEIPTD_ADMIN_TOKEN", ADMIN_TOKEN);
    let began = Instant::now();
    let output = run(command, b"");
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr.contains(&format!("nothing answers at {admin}")),
        "{stderr}"
    );
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn simulator_stops_at_once_when_nothing_answers_at_the_callback_url() {
    let home = Installation::new(Engine::Sqlite).await;
    home.add_channel();
    let server = home.serve();
    let closed = closed_address();
    let url = format!("http://u:p@{closed}/social/on/whatsapp/twilio/report/{CHANNEL}#rc=5");
    let began = Instant::now();
    let line = format!("simulate --url {url} --admin-url {}", server.operator);
    home.fails(&line, 1, &format!("nothing answers at http://{closed}"));
    assert!(began.elapsed() < Duration::from_secs(10));
}
