//! The command line does what the operator's API does, and says it the same way.

use serde_json::{Value, json};

use super::support::{CHANNEL, Engine, RuntimeHandle, Server, bare_command, run, text};

/// Which command does what an operation of the API does.
const COMMANDS: [(&str, &[&str]); 35] = [
    ("add_channel", &["channel", "add"]),
    ("list_channels", &["channel", "list"]),
    ("show_channel", &["channel", "show"]),
    ("change_channel", &["channel", "update"]),
    ("remove_channel", &["channel", "remove"]),
    ("add_credential", &["credential", "add"]),
    ("remove_credential", &["credential", "remove"]),
    ("list_messages", &["message", "list"]),
    ("show_message", &["message", "show"]),
    ("pull_events", &["event", "list"]),
    ("stream_events", &["event", "tail"]),
    ("list_cursors", &["cursor", "list"]),
    ("show_cursor", &["cursor", "show"]),
    ("put_cursor", &["cursor", "set"]),
    ("remove_cursor", &["cursor", "remove"]),
    ("add_subscription", &["subscription", "add"]),
    ("list_subscriptions", &["subscription", "list"]),
    ("show_subscription", &["subscription", "show"]),
    ("change_subscription", &["subscription", "update"]),
    ("remove_subscription", &["subscription", "remove"]),
    ("pause_subscription", &["subscription", "pause"]),
    ("resume_subscription", &["subscription", "resume"]),
    ("rotate_secret", &["subscription", "rotate"]),
    ("test_subscription", &["subscription", "test"]),
    ("replay_events", &["subscription", "replay"]),
    ("list_deliveries", &["subscription", "deliveries"]),
    ("retry_deliveries", &["subscription", "retry"]),
    ("show_delivery", &["delivery", "show"]),
    ("retry_delivery", &["delivery", "retry"]),
    ("erase_recipient", &["erase"]),
    ("list_erasures", &["erasure", "list"]),
    ("show_erasure", &["erasure", "show"]),
    ("list_rejections", &["rejections"]),
    ("show_health", &["health"]),
    // It is said of a process that serves; a look at the settings says the rest.
    ("show_readiness", &["config", "check"]),
];

/// What no command does, and why.
const NONE: [(&str, &str); 2] = [
    (
        "report_message",
        "it is the integrator's part; `simulate` plays it",
    ),
    ("show_metrics", "they are counts of the process that serves"),
];

#[test]
fn there_is_a_command_for_every_operation_of_the_api() {
    let public_url = domain::PublicUrl::parse("https://reports.example.com").unwrap();
    let document = adapter_http::api::openapi::document(&public_url, &["twilio"]);
    let items = document["paths"].as_object().unwrap().values();
    let operations = items.flat_map(|item| item.as_object().unwrap().values());
    let mut ids: Vec<_> = operations
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    let known = COMMANDS.iter().map(|(id, _)| *id);
    let mut known: Vec<_> = known.chain(NONE.iter().map(|(id, _)| *id)).collect();
    known.sort_unstable();
    assert_eq!(ids, known);
    for (id, command) in COMMANDS {
        let output = run(bare_command(&[command, &["--help"]].concat()), b"");
        assert!(output.status.success(), "{id}: {}", text(&output.stderr));
    }
}

/// A server that pushes nothing, with three messages.
async fn with_messages(engine: Engine) -> (RuntimeHandle, Server) {
    let home = RuntimeHandle::new(engine).await;
    home.add_channel();
    let server = Server::start(home.command(&["serve", "--no-workers"]));
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

/// Adds a subscription to all there is, which nobody serves, and gives its id.
fn subscribe(home: &RuntimeHandle) -> String {
    let url = "https://subscriber.example.com/hook";
    let added = home.json(&["subscription", "add", url, "--after", "oldest"]);
    added["id"].as_str().unwrap().to_owned()
}

fn refused(home: &RuntimeHandle, args: &[&str], status: i32, said: &str) {
    let output = home.run_with_input(args, b"");
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{args:?}: {stderr}");
    assert!(stderr.contains(said), "{args:?}: {stderr}");
}

fn count(list: &Value) -> usize {
    list["items"].as_array().unwrap().len()
}

async fn lists_are_the_same(engine: Engine) {
    let (home, server) = with_messages(engine).await;
    let id = &*subscribe(&home);
    home.run(&["event", "replay", id, "--message", CHANNEL, "SM1"]);
    home.run(&["cursor", "set", "warehouse", "oldest"]);
    let erased = home.json(&["erase", "--recipient", "+15559999999", "--yes"]);
    let deliveries = format!("/api/v1/subscriptions/{id}/deliveries");
    let erasure = erased["id"].as_str().unwrap();
    for (command, path) in [
        (&["message", "list"][..], "/api/v1/messages"),
        (
            &["message", "list", "--limit", "2"],
            "/api/v1/messages?limit=2",
        ),
        (&["rejections"], "/api/v1/rejections"),
        (&["channel", "list"], "/api/v1/channels"),
        (&["cursor", "list"], "/api/v1/cursors"),
        (
            &["cursor", "show", "warehouse"],
            "/api/v1/cursors/warehouse",
        ),
        (&["subscription", "list"], "/api/v1/subscriptions"),
        (&["subscription", "deliveries", id], &deliveries),
        (&["erasure", "list"], "/api/v1/erasures"),
        (
            &["erasure", "show", erasure],
            &format!("/api/v1/erasures/{erasure}"),
        ),
    ] {
        let mut told = home.json(command);
        let (status, mut shown) = server.get(path).await;
        assert_eq!(status, 200, "{path}");
        for list in [&mut told, &mut shown] {
            if let Some(lag) = list.get_mut("lag") {
                // It grows from second to second.
                lag["seconds"] = json!(0);
            }
            if command[0] == "channel" {
                // It has the port, which the server chooses.
                list["items"][0]["callback_url"] = Value::Null;
            }
        }
        assert_eq!(told, shown, "{command:?}");
    }
    let messages = home.json(&["message", "list"]);
    assert_eq!(messages["items"][0]["integrator"], "twilio");

    let first = home.json(&["message", "list", "--limit", "2"]);
    let next = first["next"].as_str().unwrap();
    let rest = home.json(&["message", "list", "--limit", "2", "--cursor", next]);
    assert_eq!((count(&rest), &rest["next"]), (1, &Value::Null));
    assert_eq!(rest["items"][0], messages["items"][2]);
    refused(
        &home,
        &["message", "list", "--cursor", "x!"],
        1,
        "pass the `next` of the previous page unchanged",
    );
    for list in [
        &["message", "list"][..],
        &["rejections"],
        &["event", "list"],
        &["erasure", "list"],
        &["subscription", "deliveries", id],
    ] {
        for limit in ["0", "501"] {
            refused(&home, &[list, &["--limit", limit]].concat(), 2, "1..=500");
        }
    }
}

#[tokio::test]
async fn lists_of_the_command_line_are_those_of_the_api_on_sqlite() {
    lists_are_the_same(Engine::Sqlite).await;
}

#[tokio::test]
async fn lists_of_the_command_line_are_those_of_the_api_on_postgres() {
    lists_are_the_same(Engine::Postgres).await;
}

#[tokio::test]
async fn deliveries_are_filtered_shown_and_tried_again() {
    let (home, _server) = with_messages(Engine::Sqlite).await;
    let id = &*subscribe(&home);
    let replay = ["event", "replay", id, "--message", CHANNEL, "SM1"];
    assert_eq!(home.json(&replay), json!({"events": 2}));
    for (filter, found) in [
        (&["--type", "message.read"][..], 1),
        (&["--state", "waiting"], 1),
        (&["--message", CHANNEL, "SM1"], 2),
        (&["--message", CHANNEL, "SM2"], 0),
        (&["--until", "2020-01-01T00:00:00Z"], 0),
        (&["--since", "2020-01-01T00:00:00Z", "--limit", "1"], 1),
    ] {
        let listed = home.json(&[&["subscription", "deliveries", id], filter].concat());
        assert_eq!(count(&listed), found, "{filter:?}");
    }
    let all = home.json(&["subscription", "deliveries", id]);
    let first = all["items"][1]["id"].as_str().unwrap();
    assert_eq!(home.json(&["delivery", "show", first]), all["items"][1]);
    let shown = home.run(&["delivery", "show", first]);
    assert!(shown.contains("SM1 on channel"), "{shown}");
    let table = home.run(&["subscription", "deliveries", id]);
    assert!(table.contains(first), "{table}");
    // It is due already.
    refused(&home, &["delivery", "retry", first], 1, "cannot be retried");
    refused(&home, &["delivery", "show", "x"], 1, "is no delivery id");
    let retried = home.json(&["subscription", "retry", id, "--state", "dead"]);
    assert_eq!(retried, json!({"retried": 0}));
    refused(
        &home,
        &["subscription", "deliveries", id, "--type", "x"],
        1,
        "--type",
    );
}

#[tokio::test]
async fn a_subscription_is_changed_by_what_is_named() {
    let (home, _server) = with_messages(Engine::Sqlite).await;
    let id = &*subscribe(&home);
    let update = |args: &[&str]| home.json(&[&["subscription", "update", id], args].concat());
    let changed = update(&[
        "--type",
        "message.read",
        "--channel",
        "1",
        "--description",
        "here",
    ]);
    assert_eq!(changed["types"], json!(["message.read"]));
    let changed = update(&[
        "--all-types",
        "--reveal",
        "true",
        "--url",
        "https://other.example/",
    ]);
    let now = [
        "types",
        "channels",
        "reveal",
        "description",
        "url",
        "version",
    ]
    .map(|name| changed[name].clone());
    let expected = json!([[], ["1"], true, "here", "https://other.example/", 3]);
    assert_eq!(Value::from(now.to_vec()), expected);
    refused(&home, &["subscription", "update", id], 2, "--url");
    let url = "https://s.example/";
    let beyond = "OTIyMzM3MjAzNjg1NDc3NTgwNw";
    for args in [
        &["subscription", "add", url, "--after", beyond][..],
        &["event", "replay", id, "--after", beyond],
        &["event", "list", "--after", beyond],
        &["cursor", "set", "a", beyond],
    ] {
        refused(&home, args, 1, "the position is beyond the end of the log");
    }
    let resumed = home.run(&["subscription", "resume", id]);
    assert!(resumed.contains("goes on from where it stood"), "{resumed}");
}

#[tokio::test]
async fn a_cursor_is_set_shown_and_removed() {
    let (home, _server) = with_messages(Engine::Sqlite).await;
    let made = home.json(&["cursor", "set", "a", "oldest"]);
    let oldest = made["position"].as_str().unwrap();
    assert_eq!(home.json(&["cursor", "show", "a"])["lag"]["reports"], 4);
    let args = ["event", "list", "--cursor", "a", "--limit", "2"];
    let output = home.run_with_input(&args, b"");
    assert_eq!(text(&output.stdout).lines().count(), 2);
    let hint = text(&output.stderr);
    let (_, next) = hint.trim().rsplit_once("--after ").unwrap();
    let rest = home.run(&["event", "list", "--after", next]);
    assert_eq!(rest.lines().count(), 2, "{rest}");

    refused(
        &home,
        &["cursor", "set", "a", next, "--new"],
        1,
        "read it again",
    );
    let moved = home.run(&["cursor", "set", "a", next, "--from", oldest]);
    assert!(moved.contains("is moved"), "{moved}");
    refused(
        &home,
        &["cursor", "set", "a", next, "--from", oldest],
        1,
        "read it again",
    );
    assert!(home.run(&["cursor", "show", "a"]).contains("2 reports"));
    home.run(&["cursor", "set", "a", "latest"]);
    home.run(&["cursor", "remove", "a"]);
    refused(&home, &["cursor", "show", "a"], 1, "there is no cursor a");
    refused(
        &home,
        &["cursor", "set", "a/b", "latest"],
        1,
        "no name of a cursor",
    );
}

#[tokio::test]
async fn a_channel_is_changed_by_what_is_named() {
    let home = RuntimeHandle::new(Engine::Sqlite).await;
    home.add_channel();
    let token = home.folder.path().join("token");
    std::fs::write(&token, "12345678901234567890123456789012\n").unwrap();
    let update = |args: &[&str]| home.json(&[&["channel", "update", CHANNEL], args].concat());
    let shown = |view: &Value| {
        let fields = ["name", "senders", "signature_required", "version"];
        Value::from(fields.map(|name| view[name].clone()).to_vec())
    };
    let base = ["--public-url", "https://reports.example.com"];
    let token = ["--signature-token-file", token.to_str().unwrap()];
    let sender = ["--name", "Desk", "--sender", "whatsapp:+15550100001"];
    let changed = update(&[&base[..], &token, &sender].concat());
    assert_eq!(
        shown(&changed),
        json!(["Desk", ["whatsapp:+***0001"], true, 2])
    );
    let url = changed["callback_url"].as_str().unwrap();
    assert!(url.starts_with("https://reports.example.com/"), "{url}");
    let back = update(&["--default-public-url", "--no-signature", "--any-sender"]);
    assert_eq!(shown(&back), json!(["Desk", [], false, 3]));
    assert_eq!(back["public_url"], Value::Null);
    refused(&home, &["channel", "update", CHANNEL], 2, "--name");
    refused(
        &home,
        &[
            "channel",
            "update",
            CHANNEL,
            "--any-sender",
            "--sender",
            "x",
        ],
        2,
        "cannot be used with",
    );
}

/// Takes one event on each connection.
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
async fn subscription_test_has_the_settings_of_the_server_or_says_that_it_has_not() {
    let home = RuntimeHandle::new(Engine::Sqlite).await;
    let mut command = home.command(&["serve"]);
    command.env("RECEIPTD_PUSH_PRIVATE_TARGETS", "true");
    let mut server = Server::start(command);
    let mut command = home.command(&["subscription", "add", &endpoint(), "--json"]);
    command.env("RECEIPTD_PUSH_PRIVATE_TARGETS", "true");
    let added: Value = serde_json::from_slice(&run(command, b"").stdout).unwrap();
    let id = added["id"].as_str().unwrap();
    let address = server.operator.trim_start_matches("http://").to_owned();
    let test = || {
        let mut command = home.command(&["subscription", "test", id, "--json"]);
        command.env("RECEIPTD_ADMIN_LISTEN", &address);
        run(command, b"")
    };
    let tested = test();
    assert!(tested.status.success(), "{}", text(&tested.stderr));
    let shown: Value = serde_json::from_slice(&tested.stdout).unwrap();
    assert_eq!(shown["settings"], "server");
    assert_eq!(shown["delivered"], true);

    server.signal("TERM");
    assert!(server.wait());
    let tested = test();
    assert!(!tested.status.success());
    let shown: Value = serde_json::from_slice(&tested.stdout).unwrap();
    assert_eq!(shown["settings"], "command");
    let said = text(&tested.stderr);
    assert!(said.contains("does not answer"), "{said}");
    assert!(said.contains("with its own settings"), "{said}");
}

#[tokio::test]
async fn second_rotation_does_not_end_a_secret_in_use_unasked() {
    let home = RuntimeHandle::new(Engine::Sqlite).await;
    let _server = home.serve();
    let id = &*subscribe(&home);
    let first = home.json(&["subscription", "rotate", id]);
    refused(
        &home,
        &["subscription", "rotate", id],
        1,
        "give --end-previous",
    );
    let second = home.json(&["subscription", "rotate", id, "--end-previous"]);
    assert_ne!(first["secret"], second["secret"]);
    let third = home.json(&[
        "subscription",
        "rotate",
        id,
        "--end-previous",
        "--overlap-hours",
        "0",
    ]);
    let fourth = home.json(&["subscription", "rotate", id]);
    assert_ne!(third["secret"], fourth["secret"]);
}
