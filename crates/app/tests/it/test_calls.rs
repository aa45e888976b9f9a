//! Commands that make the server call a URL: tests of subscriptions and of channels.

use rstest::rstest;
use serde_json::Value;
use testkit::builders::twilio_sid;

use super::operator::subscribe;
use super::support::{CHANNEL, Engine, Installation, Server, text, until};

/// Starts an endpoint that accepts one event per connection, and returns its URL.
fn endpoint() -> String {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 16 * 1024];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
        }
    });
    url
}

#[tokio::test]
async fn subscription_test_uses_the_settings_of_the_server_or_says_that_it_does_not() {
    let home = Installation::new(Engine::Sqlite).await;
    let mut command = home.command("serve");
    command.env("RECEIPTD_PUSH_PRIVATE_TARGETS", "true");
    let server = Server::start(command);
    let line = "--push-private-targets=true subscription add";
    let added = home.json(&format!("{line} {}", endpoint()));
    let id = added["id"].as_str().unwrap();
    let address = server.operator.trim_start_matches("http://").to_owned();
    let test = || {
        let line = format!("subscription test {id} --admin-listen {address} --json");
        let output = home.run_with_input(&line, "");
        let view: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.success(), view, text(&output.stderr))
    };
    let (success, view, stderr) = test();
    assert!(success, "{stderr}");
    assert_eq!(view["settings"], "server");
    assert_eq!(view["delivered"], true);

    server.stop();
    let (success, view, stderr) = test();
    assert!(!success);
    assert_eq!(view["settings"], "command");
    assert!(
        stderr.contains("(RECEIPTD_ADMIN_LISTEN) does not answer"),
        "{stderr}"
    );
    assert!(stderr.contains("with its own settings"), "{stderr}");
}

#[tokio::test]
async fn second_rotation_ends_a_secret_in_use_only_on_request() {
    let home = Installation::new(Engine::Sqlite).await;
    let _server = home.serve();
    let rotate = format!("subscription rotate {}", subscribe(&home));
    let first = home.json(&rotate);
    home.fails(&rotate, 1, "give --end-previous");
    let second = home.json(&format!("{rotate} --end-previous"));
    assert_ne!(first["secret"], second["secret"]);
    let third = home.json(&format!("{rotate} --end-previous --overlap-hours 0"));
    let fourth = home.json(&rotate);
    assert_ne!(third["secret"], fourth["secret"]);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn test_report_reaches_the_channel_through_its_public_url(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let home = Installation::new(engine).await;
    home.add_channel();
    let server = home.serve();
    let address = server.operator.trim_start_matches("http://");
    let report = home.json(&format!("channel test {CHANNEL} --admin-listen {address}"));
    assert_eq!(report["passed"], true, "{report}");
    let outcomes = report["steps"].as_array().unwrap().iter();
    let outcomes = outcomes.map(|step| step["outcome"].as_str().unwrap());
    // The public URL of a test server is http.
    let expected = ["passed", "passed", "warning", "passed", "passed", "passed"];
    assert_eq!(outcomes.collect::<Vec<_>>(), expected, "{report}");
    let sid = report["message_sid"].as_str().unwrap();
    let (status, message) = server
        .get(&format!("/api/v1/messages/{CHANNEL}/{sid}"))
        .await;
    assert_eq!(status, 200);
    assert_eq!(message["test"], true);
    assert_eq!(message["status"], "delivered");
    // It counts nowhere, and has no events.
    assert_eq!(server.report(&twilio_sid(1), "delivered").await, 204);
    until("the other message is counted", async || {
        let (_, stats) = server.get("/api/v1/stats").await;
        stats["total"]["messages"] == 1
    })
    .await;
    let (_, events) = server.get("/api/v1/events").await;
    let events = events["items"].as_array().unwrap();
    assert_eq!(events.len(), 1, "{events:?}");
}
