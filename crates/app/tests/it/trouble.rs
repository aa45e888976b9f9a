//! Trouble of the built program: found, told, snoozed and resolved.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use rstest::rstest;
use serde_json::Value;
use testkit::builders::twilio_sid;

use super::support::{CHANNEL, Engine, Installation, Server, client, run, text, until};

/// A subscriber that refuses the first event once and records the others.
#[derive(Clone, Default)]
struct Subscriber {
    refused: Arc<Mutex<bool>>,
    accepted: Arc<Mutex<Vec<Value>>>,
}

impl Subscriber {
    /// Listens until the test process ends, and returns the URL.
    fn listen(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let subscriber = self.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let subscriber = subscriber.clone();
                std::thread::spawn(move || subscriber.serve(connection));
            }
        });
        format!("http://{address}/hook")
    }

    fn serve(&self, connection: TcpStream) -> Option<()> {
        let mut answers = connection.try_clone().ok()?;
        let mut requests = BufReader::new(connection);
        loop {
            let (mut length, mut signed) = (0, false);
            let mut line = String::new();
            while requests.read_line(&mut line).ok()? > 2 {
                let lower = line.to_ascii_lowercase();
                if let Some(value) = lower.strip_prefix("content-length:") {
                    length = value.trim().parse().ok()?;
                }
                signed |= lower.starts_with("webhook-signature: v1,");
                line.clear();
            }
            if line.is_empty() {
                return None;
            }
            let mut body = vec![0; length];
            requests.read_exact(&mut body).ok()?;
            let answer: &[u8] = if std::mem::replace(&mut *self.refused.lock().unwrap(), true) {
                let event = serde_json::from_slice(&body).ok()?;
                self.accepted
                    .lock()
                    .unwrap()
                    .extend(signed.then_some(event));
                b"HTTP/1.1 204 No Content\r\n\r\n"
            } else {
                b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
            };
            answers.write_all(answer).ok()?;
        }
    }

    /// Returns the types of the events that arrived.
    fn types(&self) -> Vec<String> {
        let accepted = self.accepted.lock().unwrap();
        let of = |event: &Value| event["type"].as_str().unwrap().to_owned();
        accepted.iter().map(of).collect()
    }
}

fn serve(home: &Installation) -> Server {
    let mut command = home.command("serve");
    command
        .env("RECEIPTD_TROUBLE_INTERVAL_SECONDS", "1")
        .env("RECEIPTD_PUSH_PRIVATE_TARGETS", "true");
    Server::start(command)
}

/// Returns a time within two days.
#[expect(
    clippy::disallowed_methods,
    reason = "the program's clock is that of the machine"
)]
fn tomorrow() -> String {
    let tomorrow = time::OffsetDateTime::now_utc() + time::Duration::days(2);
    format!("{}T00:00:00Z", tomorrow.date())
}

#[rstest]
#[tokio::test]
async fn trouble_is_found_told_snoozed_and_resolved(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let home = Installation::new(engine).await;
    let server = serve(&home);
    let subscriber = Subscriber::default();
    let line = format!(
        "subscription add {} --type receiptd.trouble.opened --type receiptd.trouble.resolved --json",
        subscriber.listen()
    );
    let mut command = home.command(&line);
    command.env("RECEIPTD_PUSH_PRIVATE_TARGETS", "true");
    let added: Value = serde_json::from_slice(&run(command, b"").stdout).unwrap();
    assert_eq!(added["types"].as_array().unwrap().len(), 2);
    home.add_channel();
    until(
        "the channel is known and its caller is challenged",
        async || {
            let mut answers = Vec::new();
            for _ in 0..10 {
                let answer = client().post(server.report_url()).send().await.unwrap();
                answers.push(answer.status().as_u16());
            }
            answers == [401; 10]
                && home.json("trouble list --state open")["items"][0]["kind"] == "challenged_only"
        },
    )
    .await;
    let listed = home.json("trouble list");
    let (_, from_api) = server.get("/api/v1/troubles").await;
    assert_eq!(listed["items"][0]["id"], from_api["items"][0]["id"]);
    let id = listed["items"][0]["id"].as_str().unwrap();
    assert_eq!(listed["items"][0]["about"], format!("channel/{CHANNEL}"));
    until(
        "the event arrives, sent again after a refusal",
        async || subscriber.types() == ["receiptd.trouble.opened"],
    )
    .await;
    let until_then = "2199-01-01T00:00:00Z";
    home.fails(
        &format!("trouble snooze {id} --until {until_then} --reason known"),
        1,
        "within 30 days",
    );
    let tomorrow = tomorrow();
    let snooze = format!("trouble snooze {id} --until {tomorrow} --reason known");
    let snoozed = home.run(&snooze);
    assert!(snoozed.contains("No notices about it"), "{snoozed}");
    let mut list = home.command("trouble list");
    list.env("COLUMNS", "80");
    let table = text(&run(list, b"").stdout);
    assert!(table.contains("challenged_only"), "{table}");
    assert!(
        table.lines().all(|line| line.chars().count() <= 80),
        "{table}"
    );
    home.run(&format!("trouble unsnooze {id}"));

    assert_eq!(server.report(&twilio_sid(1), "sent").await, 204);
    until("the end is notified", async || {
        subscriber.types() == ["receiptd.trouble.opened", "receiptd.trouble.resolved"]
    })
    .await;
    let events = home.json("trouble events");
    assert_eq!(events["items"].as_array().unwrap().len(), 2);
    let resolved = home.json("trouble list --state resolved");
    assert_eq!(resolved["items"][0]["id"], id);
    home.run(&format!(
        "trouble set --channel {CHANNEL} --off silence --quiet-hours 22:00-06:00"
    ));
    let settings = home.run(&format!("trouble settings --channel {CHANNEL}"));
    assert!(settings.contains("22:00-06:00"), "{settings}");
    let reset = home.json(&format!("trouble reset --channel {CHANNEL}"));
    assert_eq!(reset["own"], false);
    let audit = home.json("audit list --action trouble.settings");
    assert_eq!(audit["items"].as_array().unwrap().len(), 2);
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn callbacks_that_failed_are_trouble_and_are_counted_without_an_account(
    #[case] engine: Engine,
) {
    let home = Installation::new(engine).await;
    home.add_channel();
    let server = serve(&home);
    for number in 1..=3 {
        assert_eq!(server.debug(&twilio_sid(number)).await, 204);
    }
    let found = async || {
        let (_, troubles) = server.get("/api/v1/troubles?state=open").await;
        let mut troubles = troubles["items"].as_array().unwrap().iter();
        troubles.any(|trouble| {
            let seen = trouble["seen"].as_str().unwrap();
            trouble["kind"] == "callbacks_failing" && seen.contains("error 11200 (")
        })
    };
    until("the trouble is open", found).await;
    let shown = home.run(&format!("channel show {CHANNEL}"));
    let expected = "could not deliver reports of 3 messages";
    assert!(shown.contains(expected), "{shown}");
}
