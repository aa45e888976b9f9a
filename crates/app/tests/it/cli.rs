//! The command line: channels, credentials, and error messages.

use rstest::rstest;
use serde_json::{Value, json};

use super::support::{
    CHANNEL, Engine, Installation, PASSWORD, SECRET_KEY, Server, USER, bare_command, run, text,
};

#[tokio::test]
async fn generated_password_of_a_channel_is_shown_once() {
    let home = Installation::new(Engine::Sqlite).await;
    let base = "--public-url https://reports.example.com";
    let added = home.json(&format!(
        "channel add 42 --name Support --user {USER} {base}"
    ));
    let password = added["password"].as_str().unwrap();
    assert_eq!(password.len(), 43);
    let url = format!(
        "https://{USER}:{password}@reports.example.com/social/on/whatsapp/twilio/report/42#rc=5&rp=ct,rt,5xx"
    );
    assert_eq!(added["callback_url"], url);
    assert!(!home.run("channel show 42").contains(password));
    assert!(!home.run("channel list --json").contains(password));
}

#[tokio::test]
async fn channels_are_listed_shown_disabled_enabled_and_removed() {
    let home = Installation::new(Engine::Sqlite).await;
    home.add_channel();
    let listed = home.json("channel list");
    assert_eq!(listed["items"][0]["id"], CHANNEL);
    assert_eq!(listed["items"][0]["enabled"], true);
    let is_enabled = || home.json(&format!("channel show {CHANNEL}"))["enabled"].clone();
    home.run(&format!("channel disable {CHANNEL}"));
    assert_eq!(is_enabled(), false);
    assert!(home.run("channel list").contains("disabled"));
    home.run(&format!("channel enable {CHANNEL}"));
    assert_eq!(is_enabled(), true);
    home.run(&format!("channel remove {CHANNEL}"));
    assert_eq!(home.json("channel list"), json!({"items": []}));
    home.fails(
        &format!("channel remove {CHANNEL}"),
        1,
        "there is no channel",
    );
}

#[tokio::test]
async fn credential_list_shows_what_a_rotation_needs() {
    let home = Installation::new(Engine::Sqlite).await;
    home.add_channel();
    let add = format!("credential add {CHANNEL} --user {USER}");
    let added = home.json(&format!("{add} --label next"));
    let url = added["callback_url"].as_str().unwrap();
    assert!(url.contains(&format!("{USER}:")), "{url}");
    let listed = home.json(&format!("credential list {CHANNEL}"));
    let [first, second] = listed.as_array().unwrap().as_slice() else {
        panic!("{listed}")
    };
    assert_eq!(
        (&first["user"], &second["user"]),
        (&USER.into(), &USER.into())
    );
    assert!(first["id"].is_string() && first["created"].is_string());
    assert!(first["last_used"].is_null());
    assert!(!listed.to_string().contains(PASSWORD));
    // A rotation needs no third credential.
    home.fails(&add, 1, "two live credentials");
}

#[tokio::test]
async fn invalid_arguments_are_explained() {
    let home = Installation::new(Engine::Sqlite).await;
    home.add_channel();
    for (line, expected) in [
        ("channel add a/b --name n --user u", "a channel id is"),
        ("channel add 1 --name n --user a:b", "without a colon"),
        (
            "channel add 1 --integrator carrier --name n --user u",
            "unknown integrator carrier; known: twilio",
        ),
        ("message show 999 SM1", "there is no channel 999"),
        (
            &format!("message show {CHANNEL} SM1"),
            "nothing was reported of message SM1",
        ),
        (
            "message list --cursor x",
            "pass the `next` of the previous page unchanged",
        ),
        (
            "message list --status gone",
            "--status must be one or several of",
        ),
        (
            "credential remove 1 x",
            "`receiptd credential list 1` shows them\n",
        ),
        (
            "subscription test x",
            "`receiptd subscription list` shows them\n",
        ),
        ("trouble unsnooze x", "`receiptd trouble list` shows them\n"),
    ] {
        home.fails(line, 1, expected);
    }
    let line = "channel add 1 --name n --user u --password-stdin";
    let output = home.run_with_input(line, "short\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("at least 8 characters"));
}

#[rstest]
#[case("reconcile")]
#[case("stats")]
#[case("rejections")]
#[case("message list")]
#[case("event list")]
#[case("trouble list")]
#[tokio::test]
async fn unknown_channel_is_an_error(#[case] command: &str) {
    let home = Installation::new(Engine::Sqlite).await;
    home.add_channel();
    let line = format!("{command} --channel nope");
    home.fails(&line, 1, "there is no channel nope");
    let of_known = home.run_with_input(&format!("{command} --channel {CHANNEL}"), "");
    let error = text(&of_known.stderr);
    assert!(!error.contains("there is no channel"), "{error}");
}

#[rstest]
#[tokio::test]
async fn config_check_shows_settings_without_secrets(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let home = Installation::new(engine).await;
    home.run("migrate");
    assert_eq!(home.json("config check")["channels"], 0);
    let shown = home.run("config check");
    assert!(!shown.contains(SECRET_KEY) && !shown.contains("password"));
}

#[rstest]
#[case("RECEIPTD_DATABASE_URL", "mysql://x", "sqlite: or postgres://")]
#[case("RECEIPTD_PUBLIC_LISTEN", "8080", "like 127.0.0.1:8080")]
#[case("RECEIPTD_PUBLIC_URL", "reports.example.com", "https://")]
#[case("RECEIPTD_SECRET_KEY", "short", "at least 32 characters")]
#[case("RECEIPTD_ADMIN_TOKEN", "short", "at least 16")]
#[case("RECEIPTD_KEEP_MESSAGES_DAYS", "0", "1 to 36500 days")]
#[case("RECEIPTD_QUEUE", "0", "it must be a whole number from 1 to 1000000")]
#[case("RECEIPTD_BATCH", "many", "it must be a whole number from 1 to 1024")]
#[case("RECEIPTD_LOG_FORMAT", "xml", "text, json")]
#[case(
    "RECEIPTD_DATABASE_URL",
    "postgres://me@db/receipts?sslmod=verify-full",
    "\"sslmod\" is unknown"
)]
#[case("RECEIPTD_DATABASE_URL", "sqlite:x.db?mod=ro", "mod")]
#[case("RECEIPTD_QUEU", "5", "not a setting: RECEIPTD_QUEU")]
fn invalid_setting_is_named_with_what_would_be_valid(
    #[case] name: &str,
    #[case] value: &str,
    #[case] expected: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = bare_command("config check");
    command.env(name, value).current_dir(folder.path());
    let output = run(command, b"");
    let stderr = text(&output.stderr);
    assert!(
        !output.status.success() && stderr.contains(expected) && stderr.contains(name),
        "{name}: {stderr}"
    );
}

#[rstest]
#[tokio::test]
async fn channel_can_have_its_own_retention(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let home = Installation::new(engine).await;
    let added = home.json(&format!(
        "channel add 1 --name n --user {USER} --keep-messages-days 30"
    ));
    assert_eq!(added["channel"]["keep_messages_days"], 30);
    let shown = home.run("channel show 1");
    assert!(shown.contains("for 30 days after"), "{shown}");
    let kept = || home.json("channel show 1")["keep_messages_days"].clone();
    let changed = home.run("channel update 1 --keep-messages-days 3650");
    assert!(changed.contains("for 3650 days after"), "{changed}");
    assert_eq!(kept(), 3650);
    // Before the command the flag is the server's setting.
    home.json("--keep-messages-days 5 channel disable 1");
    assert_eq!(kept(), 3650);
    for wrong in ["0", "36501", "-1", "soon"] {
        let line = format!("channel update 1 --keep-messages-days={wrong}");
        home.fails(&line, 2, "1 to 36500 days");
    }
    let changed = home.json("channel update 1 --keep-messages-days default");
    assert_eq!(changed["keep_messages_days"], json!(null));
    assert_eq!(kept(), json!(null));
}

#[test]
fn invalid_flag_is_named_even_if_its_variable_is_set_too() {
    let mut command = bare_command("config check --queue=0");
    command.env("RECEIPTD_QUEUE", "5");
    let stderr = text(&run(command, b"").stderr);
    assert!(stderr.contains("'--queue <QUEUE>'"), "{stderr}");
}

#[rstest]
#[case("channel update 1", "\n  at least one option\n")]
#[case("subscription update 1", "\n  at least one option\n")]
#[case("erase --yes", "<--recipient <NUMBER>|--recipient-stdin>")]
fn missing_option_is_explained_in_one_line(#[case] line: &str, #[case] expected: &str) {
    let output = run(bare_command(line), b"");
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert!(stderr.contains(expected), "{stderr}");
}

#[tokio::test]
async fn server_settings_are_valid_after_the_command() {
    let home = Installation::new(Engine::Sqlite).await;
    let flags = "--public-url https://reports.example.com --keep-messages-days 5";
    let checked = home.json(&format!("config check {flags}"));
    assert_eq!(checked["public_url"], "https://reports.example.com");
    home.run("migrate");
    home.add_channel();
    let server = Server::start(home.command(&format!("serve {flags}")));
    let (_, channel) = server.get(&format!("/api/v1/channels/{CHANNEL}")).await;
    let callback = channel["callback_url"].as_str().unwrap();
    assert!(
        callback.starts_with("https://reports.example.com/"),
        "{callback}"
    );
    for command in ["worker", "serve"] {
        let line = format!("{command} --keep-messages-days 0");
        home.fails(&line, 2, "1 to 36500 days");
    }
}

#[test]
fn help_settings_lists_the_settings() {
    let help = text(&run(bare_command("help settings"), b"").stdout);
    assert!(
        help.contains("RECEIPTD_DATABASE_URL (--database-url)"),
        "{help}"
    );
    let listed = text(&run(bare_command("settings"), b"").stdout);
    assert_eq!(listed.trim_end(), help.trim_end());
    let json = text(&run(bare_command("settings --json"), b"").stdout);
    let json: Value = serde_json::from_str(&json).unwrap();
    let items = json["items"].as_array().unwrap();
    assert_eq!(items.len(), help.matches(" (--").count(), "{json}");
    assert!(items.contains(&json!({
        "section": "Ingest", "variable": "RECEIPTD_WRITERS", "flag": "--writers",
        "meaning": "Number of batches that are recorded at the same time, 1 to 16",
        "default": "1",
    })));
    let serve = text(&run(bare_command("serve --help"), b"").stdout);
    assert!(
        serve.contains("Settings: receiptd help settings"),
        "{serve}"
    );
}
