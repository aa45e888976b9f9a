//! The command line does what the operator's API does, with the same answers.

use rstest::rstest;
use serde_json::{Value, json};

use super::support::{CHANNEL, Engine, Installation, Server, bare_command, run, text, until};

/// The command for each operation of the API.
const COMMANDS: [(&str, &str); 53] = [
    ("add_channel", "channel add"),
    ("list_channels", "channel list"),
    ("show_channel", "channel show"),
    ("change_channel", "channel update"),
    ("remove_channel", "channel remove"),
    ("test_channel", "channel test"),
    ("add_credential", "credential add"),
    ("remove_credential", "credential remove"),
    ("list_messages", "message list"),
    ("show_message", "message show"),
    ("pull_events", "event list"),
    ("stream_events", "event tail"),
    ("list_cursors", "cursor list"),
    ("show_cursor", "cursor show"),
    ("put_cursor", "cursor set"),
    ("remove_cursor", "cursor remove"),
    ("add_subscription", "subscription add"),
    ("list_subscriptions", "subscription list"),
    ("show_subscription", "subscription show"),
    ("change_subscription", "subscription update"),
    ("remove_subscription", "subscription remove"),
    ("pause_subscription", "subscription pause"),
    ("resume_subscription", "subscription resume"),
    ("rotate_secret", "subscription rotate"),
    ("test_subscription", "subscription test"),
    ("replay_events", "subscription replay"),
    ("list_deliveries", "subscription deliveries"),
    ("retry_deliveries", "subscription retry"),
    ("show_delivery", "delivery show"),
    ("retry_delivery", "delivery retry"),
    ("erase_recipient", "erase"),
    ("list_erasures", "erasure list"),
    ("show_erasure", "erasure show"),
    ("list_rejections", "rejections"),
    ("read_statistics", "stats"),
    ("show_reconciliation", "channel show 1"),
    ("put_reconciliation", "channel update 1 --account-sid AC1"),
    ("remove_reconciliation", "channel update 1 --no-account"),
    ("list_troubles", "trouble list"),
    ("snooze_trouble", "trouble snooze"),
    ("end_snooze", "trouble unsnooze"),
    ("list_operator_events", "trouble events"),
    ("show_trouble_settings", "trouble settings"),
    ("put_trouble_settings", "trouble set"),
    (
        "show_channel_trouble_settings",
        "trouble settings --channel 1",
    ),
    ("put_channel_trouble_settings", "trouble set --channel 1"),
    ("remove_channel_trouble_settings", "trouble reset"),
    ("add_token", "token add"),
    ("list_tokens", "token list"),
    ("revoke_token", "token revoke"),
    ("list_audit", "audit list"),
    ("show_health", "health"),
    // Readiness belongs to a running server; the check covers what a command can know.
    ("show_readiness", "config check"),
];

/// The operations without a command, and why.
const WITHOUT_COMMAND: [(&str, &str); 2] = [
    (
        "report_message",
        "called by the integrator, which `simulate` plays",
    ),
    ("show_metrics", "metrics belong to a running server"),
];

#[test]
fn every_operation_of_the_api_has_a_command() {
    let public_url = domain::PublicUrl::parse("https://reports.example.com").unwrap();
    let document = adapter_http::api::openapi::document(&public_url, &["twilio"]);
    let items = document["paths"].as_object().unwrap().values();
    let operations = items.flat_map(|item| item.as_object().unwrap().values());
    let mut ids: Vec<_> = operations
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    let known = COMMANDS.iter().map(|(id, _)| *id);
    let mut known: Vec<_> = known
        .chain(WITHOUT_COMMAND.iter().map(|(id, _)| *id))
        .collect();
    known.sort_unstable();
    assert_eq!(ids, known);
    for (id, command) in COMMANDS {
        let output = run(bare_command(&format!("{command} --help")), b"");
        assert!(output.status.success(), "{id}: {}", text(&output.stderr));
    }
}

/// Starts a server that delivers no events, and sends reports of three messages.
async fn with_messages(engine: Engine) -> (Installation, Server) {
    with_messages_on(engine, "serve --no-workers").await
}

async fn with_messages_on(engine: Engine, command: &str) -> (Installation, Server) {
    let home = Installation::new(engine).await;
    home.add_channel();
    let server = Server::start(home.command(command));
    for (sid, status) in [
        ("SM1", "sent"),
        ("SM1", "read"),
        ("SM2", "sent"),
        ("SM3", "failed"),
    ] {
        assert_eq!(server.report(sid, status).await, 204);
    }
    (home, server)
}

/// Adds a subscription to all events, which no worker serves, and returns its id.
pub fn subscribe(home: &Installation) -> String {
    let added = home.json("subscription add https://subscriber.example.com/hook --after oldest");
    added["id"].as_str().unwrap().to_owned()
}

fn count(list: &Value) -> usize {
    list["items"].as_array().unwrap().len()
}

#[rstest]
#[tokio::test]
async fn lists_of_the_command_line_are_those_of_the_api(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let (home, server) = with_messages(engine).await;
    let id = &*subscribe(&home);
    home.run(&format!("event replay {id} --message {CHANNEL} SM1"));
    home.run("cursor set warehouse oldest");
    let erased = home.json("erase --recipient +15559999999 --yes");
    let erasure = erased["id"].as_str().unwrap();
    let deliveries = format!("subscription deliveries {id}");
    for (line, path) in [
        ("message list", "messages"),
        ("message list --limit 2", "messages?limit=2"),
        ("rejections", "rejections"),
        ("channel list", "channels"),
        ("cursor list", "cursors"),
        ("cursor show warehouse", "cursors/warehouse"),
        ("subscription list", "subscriptions"),
        (&deliveries, &format!("subscriptions/{id}/deliveries")),
        ("erasure list", "erasures"),
        (
            &format!("erasure show {erasure}"),
            &format!("erasures/{erasure}"),
        ),
    ] {
        let mut printed = home.json(line);
        let (status, mut answered) = server.get(&format!("/api/v1/{path}")).await;
        assert_eq!(status, 200, "{path}");
        for list in [&mut printed, &mut answered] {
            if let Some(lag) = list.get_mut("lag") {
                // The lag grows every second.
                lag["seconds"] = json!(0);
            }
            if line == "channel list" {
                // Only the server knows its port.
                list["items"][0]["callback_url"] = Value::Null;
                // Stored some time after the request.
                list["items"][0]["credentials"][0]["last_used"] = Value::Null;
            }
        }
        assert_eq!(printed, answered, "{line}");
    }
    let messages = home.json("message list");
    assert_eq!(messages["items"][0]["integrator"], "twilio");

    let first = home.json("message list --limit 2");
    let next = first["next"].as_str().unwrap();
    let rest = home.json(&format!("message list --limit 2 --cursor {next}"));
    assert_eq!((count(&rest), &rest["next"]), (1, &Value::Null));
    assert_eq!(rest["items"][0], messages["items"][2]);
    home.fails(
        "message list --cursor x!",
        1,
        "pass the `next` of the previous page unchanged",
    );
    for line in [
        "message list",
        "rejections",
        "event list",
        "erasure list",
        &deliveries,
    ] {
        for limit in ["0", "501"] {
            home.fails(&format!("{line} --limit {limit}"), 2, "from 1 to 500");
        }
    }
}

#[rstest]
#[tokio::test]
async fn statistics_are_counted_and_shown(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let (home, server) = with_messages_on(engine, "serve").await;
    let path = "/api/v1/stats?from=2026-01-01T00:00:00Z&until=2999-01-01T00:00:00Z";
    let counted = async || {
        let total = &server.get(path).await.1["total"];
        total["messages"] == 3 && total["requests"]["authenticated"] == 4
    };
    until("three messages and four requests are counted", counted).await;
    let (_, answered) = server.get(path).await;
    assert_eq!(answered["lag_seconds"], Value::Null);
    assert_eq!(answered["total"]["outcomes"]["failed"], 1);
    assert_eq!(answered["channels"][0]["channel_id"], CHANNEL);
    let line = "stats --from 2026-01-01T00:00:00Z --until 2999-01-01T00:00:00Z";
    assert_eq!(home.json(line), answered);
    let table = home.run(&format!("{line} --by channel"));
    assert!(table.contains(CHANNEL), "{table}");
    let table = home.run(&format!("{line} --by request"));
    assert!(table.contains("AUTHENTICATED"), "{table}");
    let csv = server
        .get_text(&format!("{path}&format=csv&by=channel"))
        .await;
    assert_eq!(home.run(&format!("{line} --by channel --csv")), csv);
    assert!(csv.starts_with("channel_id,messages,"), "{csv}");
    home.fails(
        "stats --from 2026-02-01T00:00:00Z --until 2026-01-01T00:00:00Z",
        1,
        "--from",
    );
    let (status, _) = server.get("/api/v1/stats?from=2999-01-01T00:00:00Z").await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn deliveries_are_filtered_shown_and_retried() {
    let (home, _server) = with_messages(Engine::Sqlite).await;
    let id = &*subscribe(&home);
    let replayed = home.json(&format!("event replay {id} --message {CHANNEL} SM1"));
    assert_eq!(replayed, json!({"events": 2}));
    let list = format!("subscription deliveries {id}");
    for (filter, found) in [
        ("--type message.read", 1),
        ("--state waiting", 1),
        (&format!("--message {CHANNEL} SM1"), 2),
        (&format!("--message {CHANNEL} SM2"), 0),
        ("--until 2020-01-01T00:00:00Z", 0),
        ("--since 2020-01-01T00:00:00Z --limit 1", 1),
    ] {
        let listed = home.json(&format!("{list} {filter}"));
        assert_eq!(count(&listed), found, "{filter}");
    }
    let all = home.json(&list);
    let first = all["items"][1]["id"].as_str().unwrap();
    assert_eq!(
        home.json(&format!("delivery show {first}")),
        all["items"][1]
    );
    let shown = home.run(&format!("delivery show {first}"));
    assert!(shown.contains("SM1") && shown.contains(CHANNEL), "{shown}");
    let table = home.run(&list);
    assert!(table.contains(first), "{table}");
    // The delivery is due already.
    let expected = "cannot be retried";
    home.fails(&format!("delivery retry {first}"), 1, expected);
    home.fails("delivery show x", 1, "is not a delivery id");
    let retried = home.json(&format!("subscription retry {id} --state dead"));
    assert_eq!(retried, json!({"retried": 0}));
    home.fails(&format!("{list} --type x"), 1, "--type");
}

#[tokio::test]
async fn subscription_update_changes_only_the_given_options() {
    let (home, _server) = with_messages(Engine::Sqlite).await;
    let id = &*subscribe(&home);
    let update = |options: &str| home.json(&format!("subscription update {id} {options}"));
    let changed = update("--type message.read --channel 1 --description here");
    assert_eq!(changed["types"], json!(["message.read"]));
    let changed = update("--all-types --reveal true --url https://other.example/");
    let fields = [
        "types",
        "channels",
        "reveal",
        "description",
        "url",
        "version",
    ];
    let expected = json!([[], ["1"], true, "here", "https://other.example/", 3]);
    assert_eq!(
        Value::from_iter(fields.map(|name| changed[name].clone())),
        expected
    );
    home.fails(
        &format!("subscription update {id}"),
        2,
        "at least one option",
    );
    let beyond = "OTIyMzM3MjAzNjg1NDc3NTgwNw";
    for line in [
        "subscription add https://s.example/ --after",
        &format!("event replay {id} --after"),
        "event list --after",
        "cursor set a",
    ] {
        let line = format!("{line} {beyond}");
        home.fails(&line, 1, "the position is beyond the end of the log");
    }
    let resumed = home.run(&format!("subscription resume {id}"));
    assert!(resumed.contains("continues from its position"), "{resumed}");
}

#[tokio::test]
async fn cursor_is_set_shown_and_removed() {
    let (home, _server) = with_messages(Engine::Sqlite).await;
    let created = home.json("cursor set a oldest");
    let oldest = created["position"].as_str().unwrap();
    assert_eq!(home.json("cursor show a")["lag"]["reports"], 4);
    let output = home.run_with_input("event list --cursor a --limit 2", "");
    assert_eq!(text(&output.stdout).lines().count(), 2);
    let hint = text(&output.stderr);
    let (_, next) = hint.trim().rsplit_once("--after ").unwrap();
    let rest = home.run(&format!("event list --after {next}"));
    assert_eq!(rest.lines().count(), 2, "{rest}");

    home.fails(&format!("cursor set a {next} --new"), 1, "read it again");
    let moved = home.run(&format!("cursor set a {next} --from {oldest}"));
    assert!(moved.contains("moved"), "{moved}");
    let again = format!("cursor set a {next} --from {oldest}");
    home.fails(&again, 1, "read it again");
    assert!(home.run("cursor show a").contains("2 reports"));
    home.run("cursor set a latest");
    home.run("cursor remove a");
    home.fails("cursor show a", 1, "there is no cursor a");
    home.fails("cursor set a/b latest", 1, "not a valid cursor name");
}

#[tokio::test]
async fn channel_update_changes_only_the_given_options() {
    let home = Installation::new(Engine::Sqlite).await;
    home.add_channel();
    let token = home.folder.path().join("token");
    std::fs::write(&token, "12345678901234567890123456789012\n").unwrap();
    let update = |options: &str| home.json(&format!("channel update {CHANNEL} {options}"));
    let shown = |view: &Value| {
        let fields = ["name", "senders", "signature_required", "version"];
        Value::from_iter(fields.map(|name| view[name].clone()))
    };
    let changed = update(&format!(
        "--public-url https://reports.example.com --signature-token-file {} --name Desk --sender \
         whatsapp:+15550100001",
        token.display()
    ));
    let expected = json!(["Desk", ["whatsapp:+***0001"], true, 2]);
    assert_eq!(shown(&changed), expected);
    let url = changed["callback_url"].as_str().unwrap();
    assert!(url.starts_with("https://reports.example.com/"), "{url}");
    let back = update("--default-public-url --no-signature --any-sender");
    assert_eq!(shown(&back), json!(["Desk", [], false, 3]));
    assert_eq!(back["public_url"], Value::Null);
    let line = format!("channel update {CHANNEL}");
    home.fails(&line, 2, "at least one option");
    let both = format!("{line} --any-sender --sender x");
    home.fails(&both, 2, "cannot be used with");
}
