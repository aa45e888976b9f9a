//! Recovers reports that were lost on purpose, from a fake of Twilio's API.

use std::collections::HashSet;
use std::process::Command;
use std::sync::Arc;

use adapter_postgres::PostgresStore;
use adapter_sqlite::SqliteStore;
use domain::ErrorCode;
use domain::reconciliation::CallbackAlert;
use ports::{Environment as _, Store};
use rstest::rstest;
use serde_json::Value;
use testkit::builders::{key, twilio_sid};
use testkit::clock::SkewedClock;
use testkit::fake_twilio::{ACCOUNT, API_KEY, API_KEY_SECRET, Failure, FakeMessage, FakeTwilio};

use super::support::{CHANNEL, Engine, Installation, Server, run, text, until};

/// An installation whose channel has an account at a fake of Twilio.
struct Reconciled {
    installation: Installation,
    twilio: FakeTwilio,
}

impl Reconciled {
    async fn new(engine: Engine) -> Self {
        let installation = Installation::new(engine).await;
        installation.add_channel();
        let file = installation.folder.path().join("secret");
        std::fs::write(&file, format!("{API_KEY_SECRET}\n")).unwrap();
        installation.run(&format!(
            "channel update {CHANNEL} --account-sid {ACCOUNT} --api-key-sid {API_KEY} \
             --api-key-secret-file {}",
            file.display()
        ));
        Self {
            installation,
            twilio: FakeTwilio::start(),
        }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = self.installation.command(line);
        command
            .env("RECEIPTD_TWILIO_API_URL", self.twilio.url())
            .env("RECEIPTD_RECONCILE_AFTER_SECONDS", "1")
            // Only the test of the background runs waits for one.
            .env("RECEIPTD_RECONCILE_INTERVAL_SECONDS", "86400");
        command
    }

    fn reconcile(&self, options: &str) -> Value {
        let line = format!("reconcile --channel {CHANNEL} --json {options}");
        let output = run(self.command(&line), b"");
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn figures(&self) -> String {
        self.installation.run(&format!("channel show {CHANNEL}"))
    }

    /// Reports messages as sent, and waits until they are old enough to be looked up.
    async fn sent(&self, server: &Server, numbers: std::ops::RangeInclusive<u64>) {
        let count = numbers.clone().count();
        for number in numbers {
            assert_eq!(server.report(&twilio_sid(number), "sent").await, 204);
        }
        let checked = async || {
            let found = self.reconcile("--since 2000-01-01T00:00:00Z --dry-run");
            found["checked"].as_u64() == Some(count.try_into().unwrap())
        };
        until("the messages are old enough", checked).await;
    }

    /// Stores alerts of messages, as if Twilio had just sent them.
    async fn alert(&self, numbers: std::ops::RangeInclusive<u64>) {
        let url = &self.installation.database_url;
        let store: Arc<dyn Store> = if url.starts_with("sqlite:") {
            Arc::new(SqliteStore::connect_existing(url).await.unwrap())
        } else {
            Arc::new(PostgresStore::connect(url, &adapter_postgres::Options::default()).unwrap())
        };
        let alerts = numbers.map(|number| {
            let key = key(&twilio_sid(number));
            CallbackAlert {
                channel: key.channel,
                sid: key.sid,
                code: ErrorCode::parse("11200").unwrap(),
                alerted_at: SkewedClock::default().now(),
            }
        });
        let alerts: Vec<_> = alerts.collect();
        store.add_callback_alerts(&alerts).await.unwrap();
    }

    /// Waits until the first run is over, and then until a number of reports are recovered.
    async fn recovered(&self, server: &Server, count: u64) {
        let path = format!("/api/v1/channels/{CHANNEL}/reconciliation");
        let recovered = async || {
            let (_, figures) = server.get(&path).await;
            figures["listed_at"].is_string() && figures["recovered"] == count
        };
        until("reports are recovered", recovered).await;
    }

    fn put(&self, number: u64, status: &str) {
        let message = FakeMessage::new(&twilio_sid(number), status);
        self.twilio.put(message);
    }
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn lost_reports_are_recovered_counted_and_told(#[case] engine: Engine) {
    let reconciled = Reconciled::new(engine).await;
    let server = Server::start(reconciled.command("serve"));
    for number in 1..=5 {
        reconciled.put(number, "sent");
    }
    reconciled.sent(&server, 1..=5).await;
    reconciled.put(1, "delivered");
    reconciled.twilio.put(FakeMessage {
        error_code: Some(63_016),
        ..FakeMessage::new(&twilio_sid(2), "undelivered")
    });
    reconciled.put(3, "read");
    reconciled.twilio.delete(&twilio_sid(5));

    let expected = |dry_run: bool, checked: u64, recovered: u64| {
        serde_json::json!({
            "channel_id": CHANNEL, "dry_run": dry_run, "checked": checked,
            "recovered": recovered, "unknown": 1, "left": 0
        })
    };
    assert_eq!(reconciled.reconcile("--dry-run"), expected(true, 5, 3));
    assert_eq!(reconciled.reconcile(""), expected(false, 5, 3));
    // Only the two without a final status are left.
    let again = reconciled.reconcile("--since 2000-01-01T00:00:00Z");
    assert_eq!(again, expected(false, 2, 0));

    let path = format!("/api/v1/messages/{CHANNEL}/{}", twilio_sid(2));
    let (_, message) = server.get(&path).await;
    assert_eq!(message["status"], "undelivered");
    assert_eq!(message["error"]["code"], "63016");
    let provenances: Vec<_> = message["reports"].as_array().unwrap().iter().collect();
    assert_eq!(provenances[0]["provenance"], "callback");
    assert_eq!(provenances[1]["provenance"], "reconciled");
    assert_eq!(provenances[1]["happened_at"], "2026-01-01T12:00:00.000000Z");

    let (_, events) = server.get("/api/v1/events?limit=100").await;
    let events = events["items"].as_array().unwrap();
    let recovered = events
        .iter()
        .filter(|event| event["data"]["provenance"] == "reconciled");
    let mut types: Vec<_> = recovered
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    types.sort_unstable();
    assert_eq!(
        types,
        ["message.delivered", "message.read", "message.undelivered"]
    );

    let counted = async || {
        let (_, stats) = server.get("/api/v1/stats").await;
        let outcomes = &stats["total"]["outcomes"];
        outcomes["read"] == 1 && outcomes["delivered"] == 1 && outcomes["failed"] == 1
    };
    until("the recovered reports are counted", counted).await;
    let figures = reconciled.figures();
    assert!(
        figures.contains("7 messages compared, 3 reports recovered."),
        "{figures}"
    );
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn report_that_arrives_after_its_recovery_is_a_duplicate(#[case] engine: Engine) {
    let reconciled = Reconciled::new(engine).await;
    let server = Server::start(reconciled.command("serve"));
    reconciled.put(1, "delivered");
    reconciled.sent(&server, 1..=1).await;
    assert_eq!(reconciled.reconcile("")["recovered"], 1);
    assert_eq!(server.report(&twilio_sid(1), "delivered").await, 204);
    let path = format!("/api/v1/messages/{CHANNEL}/{}", twilio_sid(1));
    let (_, message) = server.get(&path).await;
    assert_eq!(message["reports"].as_array().unwrap().len(), 2);
    assert_eq!(message["counters"]["duplicates"], 1);
}

#[tokio::test]
async fn revoked_key_is_said_and_nothing_is_recorded() {
    let reconciled = Reconciled::new(Engine::Sqlite).await;
    let server = Server::start(reconciled.command("serve"));
    reconciled.put(1, "delivered");
    reconciled.sent(&server, 1..=1).await;
    reconciled.twilio.set_key_revoked(true);
    let requests = reconciled.twilio.requests().len();
    let line = format!("reconcile --channel {CHANNEL}");
    let output = run(reconciled.command(&line), b"");
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("refuses the API key (HTTP 401)"),
        "{stderr}"
    );
    // It is not tried again.
    assert_eq!(reconciled.twilio.requests().len(), requests + 1);
    let figures = reconciled.figures();
    assert!(figures.contains("reconciliation stopped"), "{figures}");
    reconciled.twilio.set_key_revoked(false);
    assert_eq!(reconciled.reconcile("")["recovered"], 1);
}

#[tokio::test]
async fn failing_requests_are_repeated() {
    let reconciled = Reconciled::new(Engine::Sqlite).await;
    let server = Server::start(reconciled.command("serve"));
    reconciled.put(1, "delivered");
    reconciled.sent(&server, 1..=1).await;
    let failures = [
        Failure::Throttled,
        Failure::Status(503),
        Failure::Cut,
        Failure::Throttled,
    ];
    reconciled.twilio.fail_next(&failures);
    assert_eq!(reconciled.reconcile("")["recovered"], 1);
}

#[tokio::test]
async fn channel_without_account_is_named() {
    let installation = Installation::new(Engine::Sqlite).await;
    installation.add_channel();
    let line = format!("reconcile --channel {CHANNEL}");
    installation.fails(&line, 1, "has no account for reconciliation");
    let line = format!("channel update {CHANNEL} --account-sid {ACCOUNT}");
    installation.fails(&line, 2, "--api-key-sid");
}

#[tokio::test]
async fn refused_update_of_a_channel_leaves_its_account() {
    let reconciled = Reconciled::new(Engine::Sqlite).await;
    let installation = &reconciled.installation;
    let file = installation.folder.path().join("secret");
    let other = "AC00000000000000000000000000000002";
    let account = format!(
        "--account-sid {other} --api-key-sid {API_KEY} --api-key-secret-file {}",
        file.display()
    );
    for (refused, status) in [
        (format!("--public-url nowhere {account}"), 1),
        (format!("--name {} {account}", "n".repeat(1_000)), 1),
        (
            format!("--name Other {}", account.replace(API_KEY, "SK1")),
            1,
        ),
        ("--sender nobody --no-account".to_owned(), 1),
    ] {
        let line = format!("channel update {CHANNEL} {refused}");
        installation.fails(&line, status, "");
        let shown = reconciled.figures();
        assert!(shown.contains(ACCOUNT), "{refused}: {shown}");
        assert!(!shown.contains("Other"), "{refused}: {shown}");
    }
    installation.run(&format!("channel update {CHANNEL} --name Other {account}"));
    let shown = reconciled.figures();
    assert!(shown.contains(other) && shown.contains("Other"), "{shown}");
    installation.run(&format!("channel update {CHANNEL} --no-account"));
    assert!(!reconciled.figures().contains(other), "it is removed");
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn server_recovers_reports_that_were_lost_while_it_was_stopped(#[case] engine: Engine) {
    let reconciled = Reconciled::new(engine).await;
    reconciled.installation.run(&format!(
        "channel update {CHANNEL} --sender whatsapp:+15550109999"
    ));
    let mut serve = reconciled.command("serve");
    let server = Server::start(reconciled.command("serve --no-workers"));
    for number in 1..=2 {
        assert_eq!(server.report(&twilio_sid(number), "sent").await, 204);
    }
    server.stop();
    // Their reports, and all reports of the third one, come while there is no server.
    for number in 1..=3 {
        reconciled.put(number, "delivered");
    }
    serve.env("RECEIPTD_RECONCILE_INTERVAL_SECONDS", "1");
    let server = Server::start(serve);
    let recovered = async || {
        let path = format!("/api/v1/channels/{CHANNEL}/reconciliation");
        let (_, figures) = server.get(&path).await;
        figures["recovered"] == 3
    };
    until("the lost reports are recovered", recovered).await;
    for number in 1..=3 {
        let path = format!("/api/v1/messages/{CHANNEL}/{}", twilio_sid(number));
        let (_, message) = server.get(&path).await;
        assert_eq!(message["status"], "delivered");
    }
    assert!(server.metric("receiptd_recovered_reports_total").await >= 3.0);
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn messages_of_alerts_are_looked_up_within_seconds(#[case] engine: Engine) {
    let reconciled = Reconciled::new(engine).await;
    let sender = format!("channel update {CHANNEL} --sender whatsapp:+15550109999");
    reconciled.installation.run(&sender);
    let server = Server::start(reconciled.command("serve"));
    reconciled.recovered(&server, 0).await;
    assert_eq!(server.report(&twilio_sid(1), "sent").await, 204);
    for number in 1..=2 {
        reconciled.put(number, "delivered");
    }
    // No report of the second one arrived, and Twilio has deleted the third one.
    for number in 1..=3 {
        assert_eq!(server.debug(&twilio_sid(number)).await, 204);
    }
    reconciled.recovered(&server, 2).await;
    let shown = reconciled.figures();
    let expected = "could not deliver reports of 3 messages";
    assert!(shown.contains(expected), "{shown}");
    for (number, provenances) in [(1, vec!["callback", "reconciled"]), (2, vec!["reconciled"])] {
        let path = format!("/api/v1/messages/{CHANNEL}/{}", twilio_sid(number));
        let (_, message) = server.get(&path).await;
        assert_eq!(message["status"], "delivered");
        let reports = message["reports"].as_array().unwrap().iter();
        let found: Vec<_> = reports
            .map(|it| it["provenance"].as_str().unwrap())
            .collect();
        assert_eq!(found, provenances);
    }
    // The callback arrives after all.
    assert_eq!(server.report(&twilio_sid(1), "delivered").await, 204);
    let path = format!("/api/v1/messages/{CHANNEL}/{}", twilio_sid(1));
    let (_, message) = server.get(&path).await;
    assert_eq!(message["counters"]["duplicates"], 1);
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn one_of_two_servers_looks_up_each_message(#[case] engine: Engine) {
    const MESSAGES: u64 = 60;
    let reconciled = Reconciled::new(engine).await;
    let sender = format!("channel update {CHANNEL} --sender whatsapp:+15550109999");
    reconciled.installation.run(&sender);
    let [one, other] = ["one", "other"].map(|name| {
        let mut command = reconciled.command("serve");
        let folder = reconciled.installation.folder.path().join(name);
        command.env("RECEIPTD_DATA_DIR", folder);
        Server::start(command)
    });
    reconciled.recovered(&one, 0).await;
    for number in 1..=MESSAGES {
        reconciled.put(number, "delivered");
    }
    for number in (1..=MESSAGES).step_by(5) {
        reconciled.alert(number..=number + 4).await;
    }
    for server in [&one, &other] {
        reconciled.recovered(server, MESSAGES).await;
    }
    let requests = reconciled.twilio.requests();
    let lookups: Vec<_> = requests
        .iter()
        .filter(|it| it.contains("/Messages/"))
        .collect();
    let unique: HashSet<_> = lookups.iter().collect();
    let count = usize::try_from(MESSAGES).unwrap();
    assert_eq!((lookups.len(), unique.len()), (count, count));
}

#[tokio::test]
async fn api_is_called_with_the_configured_certificates() {
    let reconciled = Reconciled::new(Engine::Sqlite).await;
    let line = format!("reconcile --channel {CHANNEL} --push-ca-file /nope");
    let output = run(reconciled.command(&line), b"");
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("RECEIPTD_PUSH_CA_FILE /nope"), "{said}");
}
