//! Erasing a recipient.

use rstest::rstest;
use serde_json::Value;

use super::support::{CHANNEL, Engine, Installation, Server, text, until};

/// The recipient of [`Server::report`], as people write it.
const RECIPIENT: &str = "'+1 555 010-0001'";

/// Returns whether a text contains the recipient, masked or not.
fn shows_recipient(text: &str) -> bool {
    text.contains("+***0001") || text.contains("5550100001")
}

async fn report(server: &Server, messages: usize) {
    for message in 0..messages {
        for status in ["sent", "delivered"] {
            let sid = format!("SM{message:032x}");
            assert_eq!(server.report(&sid, status).await, 204);
        }
    }
}

/// Returns everything that the API shows of messages and events.
async fn shown(server: &Server) -> String {
    let (_, messages) = server.get("/api/v1/messages?reveal=true").await;
    let (_, events) = server.get("/api/v1/events?reveal=true").await;
    let path = format!("/api/v1/messages/{CHANNEL}/SM{:032x}?reveal=true", 0);
    let (_, detail) = server.get(&path).await;
    assert_eq!(detail["status"], "delivered", "{detail}");
    format!("{messages}{events}{detail}")
}

async fn until_recipient_is_not_shown(server: &Server) {
    until("the recipient is not shown", async || {
        !shows_recipient(&shown(server).await)
    })
    .await;
}

async fn erasures(server: &Server) -> Vec<Value> {
    let (_, listed) = server.get("/api/v1/erasures").await;
    listed["items"].as_array().unwrap().clone()
}

#[rstest]
#[tokio::test]
async fn recipient_is_erased(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let home = Installation::new(engine).await;
    home.add_channel();
    let server = home.serve();
    report(&server, 4).await;
    assert!(shows_recipient(&shown(&server).await));

    let erase = format!("erase --recipient {RECIPIENT} --reason 'ticket 4711' --yes");
    let erasure = home.json(&erase);
    let counts = ["messages", "reports", "deliveries"].map(|name| erasure[name].as_u64().unwrap());
    assert_eq!(counts, [4, 8, 0], "{erasure}");
    assert_eq!(erasure["recipient"], "+***0001");
    assert_eq!(erasure["asked_through"], "command_line");
    assert!(erasure["finished_at"].is_string(), "{erasure}");

    // The server reads again the part of the log that it has cached.
    until_recipient_is_not_shown(&server).await;
    assert_eq!(server.report(&format!("SM{:032x}", 1), "read").await, 204);
    until("the report is an event", async || {
        shown(&server).await.contains("message.read")
    })
    .await;
    assert!(!shows_recipient(&shown(&server).await));

    let again = home.run("erase --recipient whatsapp:+15550100001 --yes");
    let values = again.lines().skip(1);
    let values: Vec<_> = values
        .filter_map(|line| line.split_whitespace().last())
        .collect();
    assert_eq!(values, ["whatsapp:+***0001", "0", "0", "0"], "{again}");

    let listed = Value::from(erasures(&server).await);
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert_eq!(listed[1]["reason"], "ticket 4711");
    assert!(!listed.to_string().contains("5550100001"));
    assert!(!server.log().contains("5550100001"));
}

#[rstest]
#[tokio::test]
async fn killed_erasure_is_finished_by_a_server(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let home = Installation::new(engine).await;
    home.add_channel();
    let server = home.serve();
    report(&server, 3).await;
    for before in 0..3 {
        let mut command = home.command(&format!("erase --recipient {RECIPIENT} --yes"));
        let mut child = command.spawn().unwrap();
        until("the erasure has started", async || {
            erasures(&server).await.len() > before
        })
        .await;
        let _ = child.kill();
        let _ = child.wait();
    }
    until("a server has finished the erasures", async || {
        let mut all = erasures(&server).await.into_iter();
        all.all(|erasure| erasure["finished_at"].is_string())
    })
    .await;
    until_recipient_is_not_shown(&server).await;
    let all = erasures(&server).await;
    let messages = all.iter().map(|each| each["messages"].as_u64().unwrap());
    assert_eq!(messages.sum::<u64>(), 3, "each message is erased once");
}

#[tokio::test]
async fn erasure_says_how_the_number_was_interpreted_and_asks_for_confirmation() {
    let home = Installation::new(Engine::Sqlite).await;
    home.run("migrate");
    let by_option = &*format!("erase --recipient {RECIPIENT}");
    let by_input = "erase --recipient-stdin";
    let count = || home.json("erasure list")["items"].as_array().unwrap().len();
    for (line, input) in [
        (by_option, ""),
        (by_option, "y\n"),
        (by_option, "no\n"),
        (by_input, "+1 555 010-0001\n"),
        (by_input, "+1 555 010-0001\nno\n"),
    ] {
        let output = home.run_with_input(line, input);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{line} {input:?}");
        assert!(
            stderr.contains("the number +***0001 of 11 digits")
                && stderr.contains("nothing was erased; answer yes, or give --yes"),
            "{stderr}"
        );
        let digits: String = stderr.chars().filter(char::is_ascii_digit).collect();
        assert!(!digits.contains("5550100001"), "{stderr}");
    }
    assert_eq!(count(), 0);
    for (line, input) in [
        (by_option, "yes\n"),
        (by_input, "+1 555 010-0001\nYES\n"),
        ("erase --recipient-stdin --yes", "+15550100001"),
    ] {
        let output = home.run_with_input(line, input);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    assert_eq!(count(), 3);
    let empty = home.run_with_input("erase --recipient-stdin --yes", "\n");
    assert!(text(&empty.stderr).contains("--recipient-stdin"));
}

#[rstest]
#[case("--recipient '0171 5559999' --reason x", "--recipient")]
#[case("--recipient +15559999999 --reason ' '", "--reason")]
#[case(
    "--recipient +15559999999 --reason '15559999999 asked'",
    "must not contain the recipient"
)]
#[tokio::test]
async fn invalid_option_of_an_erasure_is_named(#[case] options: &str, #[case] expected: &str) {
    let home = Installation::new(Engine::Sqlite).await;
    home.run("migrate");
    let output = home.run_with_input(&format!("erase --yes {options}"), "");
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains(expected), "{stderr}");
    assert!(!stderr.contains("5559999"), "{stderr}");
}
