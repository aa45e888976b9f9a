//! A recipient is forgotten by the built program.

use std::process::Child;

use serde_json::Value;

use super::support::{CHANNEL, Engine, RuntimeHandle, Server, text, until};

/// Whom [`Server::report`] reports on, as people write it.
const RECIPIENT: &str = "+1 555 010-0001";

/// Whether a text tells of the recipient, in the clear or masked.
fn tells(text: &str) -> bool {
    text.contains("+***0001") || text.contains("5550100001")
}

async fn reported(server: &Server, messages: usize) {
    for message in 0..messages {
        for status in ["sent", "delivered"] {
            let sid = format!("SM{message:032x}");
            assert_eq!(server.report(&sid, status).await, 204);
        }
    }
}

/// All that the API shows of messages and events.
async fn shown(server: &Server) -> String {
    let (_, messages) = server.get("/api/v1/messages?reveal=true").await;
    let (_, events) = server.get("/api/v1/events?reveal=true").await;
    let path = format!("/api/v1/messages/{CHANNEL}/SM{:032x}?reveal=true", 0);
    let (_, detail) = server.get(&path).await;
    assert_eq!(detail["status"], "delivered", "{detail}");
    format!("{messages}{events}{detail}")
}

async fn a_recipient_is_erased(engine: Engine) {
    let home = RuntimeHandle::new(engine).await;
    home.add_channel();
    let server = home.serve();
    reported(&server, 4).await;
    assert!(tells(&shown(&server).await));

    let erase = ["erase", "--recipient", RECIPIENT, "--reason", "ticket 4711"];
    let erasure = home.json(&[&erase[..], &["--yes"]].concat());
    let counts = ["messages", "reports", "deliveries"].map(|name| erasure[name].as_u64().unwrap());
    assert_eq!(counts, [4, 8, 0], "{erasure}");
    assert_eq!(erasure["recipient"], "+***0001");
    assert_eq!(erasure["asked_through"], "command_line");
    assert!(erasure["finished_at"].is_string(), "{erasure}");

    // What the server keeps of the log for its readers is asked for again.
    until("nothing shows the recipient", async || {
        !tells(&shown(&server).await)
    })
    .await;
    assert_eq!(server.report(&format!("SM{:032x}", 1), "read").await, 204);
    until("the report is an event", async || {
        shown(&server).await.contains("message.read")
    })
    .await;
    assert!(!tells(&shown(&server).await));

    let again = home.run(&["erase", "--recipient", "whatsapp:+15550100001", "--yes"]);
    let counts: Vec<_> = again.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(counts[1..], ["whatsapp:+***0001", "0", "0", "0"], "{again}");

    let (_, listed) = server.get("/api/v1/erasures").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    assert_eq!(listed["items"][1]["reason"], "ticket 4711");
    assert!(!listed.to_string().contains("5550100001"));
    assert!(!server.log().contains("5550100001"));
}

#[tokio::test]
async fn a_recipient_is_erased_on_sqlite() {
    a_recipient_is_erased(Engine::Sqlite).await;
}

#[tokio::test]
async fn a_recipient_is_erased_on_postgres() {
    a_recipient_is_erased(Engine::Postgres).await;
}

/// An erasure by the command line that is killed as soon as it has begun.
async fn killed_erasure(home: &RuntimeHandle, server: &Server) {
    let before = erasures(server).await.len();
    let mut child: Child = home
        .command(&["erase", "--recipient", RECIPIENT, "--yes"])
        .spawn()
        .unwrap();
    until("it has begun", async || {
        erasures(server).await.len() > before
    })
    .await;
    let _ = child.kill();
    let _ = child.wait();
}

async fn erasures(server: &Server) -> Vec<Value> {
    let (_, listed) = server.get("/api/v1/erasures").await;
    listed["items"].as_array().unwrap().clone()
}

async fn an_erasure_that_was_killed_is_finished(engine: Engine) {
    let home = RuntimeHandle::new(engine).await;
    home.add_channel();
    let server = home.serve();
    reported(&server, 3).await;
    for _ in 0..3 {
        killed_erasure(&home, &server).await;
    }
    until("a server has finished them", async || {
        let mut all = erasures(&server).await.into_iter();
        all.all(|erasure| erasure["finished_at"].is_string())
    })
    .await;
    until("nothing shows the recipient", async || {
        !tells(&shown(&server).await)
    })
    .await;
    let all = erasures(&server).await;
    let messages = all
        .iter()
        .map(|erasure| erasure["messages"].as_u64().unwrap());
    assert_eq!(messages.sum::<u64>(), 3, "each message is erased once");
}

#[tokio::test]
async fn an_erasure_that_was_killed_is_finished_on_sqlite() {
    an_erasure_that_was_killed_is_finished(Engine::Sqlite).await;
}

#[tokio::test]
async fn an_erasure_that_was_killed_is_finished_on_postgres() {
    an_erasure_that_was_killed_is_finished(Engine::Postgres).await;
}

#[tokio::test]
async fn erasure_asks_for_confirmation_and_says_how_the_number_was_understood() {
    let home = RuntimeHandle::new(Engine::Sqlite).await;
    home.run(&["migrate"]);
    let by_name = &["erase", "--recipient", RECIPIENT][..];
    let by_input = &["erase", "--recipient-stdin"][..];
    let erasures = || {
        let listed = home.json(&["erasure", "list"]);
        listed["items"].as_array().unwrap().len()
    };
    for (args, input) in [
        (by_name, ""),
        (by_name, "y\n"),
        (by_name, "no\n"),
        (by_input, "+1 555 010-0001\n"),
        (by_input, "+1 555 010-0001\nno\n"),
    ] {
        let output = home.run_with_input(args, input.as_bytes());
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?} {input:?}");
        assert!(
            stderr.contains("the number +***0001 of 11 digits")
                && stderr.contains("nothing was erased; answer yes, or give --yes"),
            "{stderr}"
        );
        assert!(!tells_all(&stderr), "{stderr}");
    }
    assert_eq!(erasures(), 0);
    for (args, input) in [
        (by_name, "yes\n"),
        (by_input, "+1 555 010-0001\nYES\n"),
        (&["erase", "--recipient-stdin", "--yes"], "+15550100001"),
    ] {
        let output = home.run_with_input(args, input.as_bytes());
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    assert_eq!(erasures(), 3);
    let nobody = home.run_with_input(&["erase", "--recipient-stdin", "--yes"], b"\n");
    assert!(text(&nobody.stderr).contains("--recipient-stdin"));
}

/// Whether a text tells the whole number.
fn tells_all(text: &str) -> bool {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.contains("5550100001")
}

#[tokio::test]
async fn mistakes_of_an_erasure_are_named() {
    let home = RuntimeHandle::new(Engine::Sqlite).await;
    home.run(&["migrate"]);
    for (args, said) in [
        (
            ["--recipient", "0171 5559999", "--reason", "x"],
            "--recipient",
        ),
        (["--recipient", "+15559999999", "--reason", " "], "--reason"),
        (
            [
                "--recipient",
                "+15559999999",
                "--reason",
                "15559999999 asked",
            ],
            "must not contain the recipient",
        ),
    ] {
        let output = home.run_with_input(&[&["erase", "--yes"][..], &args].concat(), b"");
        let said_to = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1));
        assert!(said_to.contains(said), "{said_to}");
        assert!(!said_to.contains("5559999"), "{said_to}");
    }
}
