//! Recovers reports that were lost on purpose, from a fake of Twilio's API.

use std::process::Command;

use rstest::rstest;
use serde_json::Value;
use testkit::builders::twilio_sid;
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
    assert!(!reconciled.figures().contains("account"), "it is removed");
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
