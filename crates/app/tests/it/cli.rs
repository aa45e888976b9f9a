//! The command line, for people and for programs.

use super::support::{CHANNEL, Engine, PASSWORD, RuntimeHandle, USER, bare_command, run, text};

#[tokio::test]
async fn a_channel_is_added_with_a_password_that_is_shown_once() {
    let home = RuntimeHandle::new(Engine::Sqlite).await;
    let base = ["--public-url", "https://reports.example.com"];
    let added = home.json(
        &[
            &["channel", "add", "42", "--name", "Support", "--user", USER],
            &base[..],
        ]
        .concat(),
    );
    let password = added["password"].as_str().unwrap();
    assert_eq!(password.len(), 43);
    let url = format!(
        "https://{USER}:{password}@reports.example.com/social/on/whatsapp/twilio/report/42#rc=5&rp=ct,rt,5xx"
    );
    assert_eq!(added["callback_url"], url);
    assert!(!home.run(&["channel", "show", "42"]).contains(password));
    assert!(!home.run(&["channel", "list", "--json"]).contains(password));
}

#[tokio::test]
async fn channels_are_listed_shown_switched_and_removed() {
    let home = RuntimeHandle::new(Engine::Sqlite).await;
    home.add_channel();
    let listed = home.json(&["channel", "list"]);
    assert_eq!(listed["items"][0]["id"], CHANNEL);
    assert_eq!(listed["items"][0]["enabled"], true);
    home.run(&["channel", "disable", CHANNEL]);
    assert_eq!(home.json(&["channel", "show", CHANNEL])["enabled"], false);
    assert!(home.run(&["channel", "list"]).contains("disabled"));
    home.run(&["channel", "enable", CHANNEL]);
    assert_eq!(home.json(&["channel", "show", CHANNEL])["enabled"], true);
    home.run(&["channel", "remove", CHANNEL]);
    assert_eq!(
        home.json(&["channel", "list"]),
        serde_json::json!({"items": []})
    );
    let again = home.run_with_input(&["channel", "remove", CHANNEL], b"");
    assert!(!again.status.success());
    assert!(text(&again.stderr).contains("there is no channel"));
}

#[tokio::test]
async fn a_credential_list_says_what_a_rotation_needs() {
    let home = RuntimeHandle::new(Engine::Sqlite).await;
    home.add_channel();
    let added = home.json(&[
        "credential",
        "add",
        CHANNEL,
        "--user",
        USER,
        "--label",
        "next",
    ]);
    assert!(
        added["callback_url"]
            .as_str()
            .unwrap()
            .contains(&format!("{USER}:"))
    );
    let listed = home.json(&["credential", "list", CHANNEL]);
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
    // A third one would serve no rotation.
    let third = home.run_with_input(&["credential", "add", CHANNEL, "--user", USER], b"");
    assert!(text(&third.stderr).contains("two live credentials"));
}

#[tokio::test]
async fn mistakes_are_explained() {
    let home = RuntimeHandle::new(Engine::Sqlite).await;
    home.add_channel();
    let cases: [(&[&str], &[u8], &str); 9] = [
        (
            &["channel", "add", "a/b", "--name", "n", "--user", "u"],
            b"",
            "a channel id is",
        ),
        (
            &["channel", "add", "1", "--name", "n", "--user", "a:b"],
            b"",
            "without a colon",
        ),
        (
            &[
                "channel",
                "add",
                "1",
                "--name",
                "n",
                "--user",
                "u",
                "--password-stdin",
            ],
            b"short\n",
            "at least 8 characters",
        ),
        (
            &[
                "channel",
                "add",
                "1",
                "--integrator",
                "carrier",
                "--name",
                "n",
                "--user",
                "u",
            ],
            b"",
            "unknown integrator carrier; known: twilio",
        ),
        (
            &["message", "show", "999", "SM1"],
            b"",
            "there is no channel 999",
        ),
        (
            &["message", "show", CHANNEL, "SM1"],
            b"",
            "nothing was reported of message SM1",
        ),
        (
            &["message", "list", "--cursor", "x"],
            b"",
            "pass the `next` of the previous page unchanged",
        ),
        (
            &["message", "list", "--status", "gone"],
            b"",
            "--status is one of",
        ),
        (
            &["credential", "remove", "1", "x"],
            b"",
            "is no credential id",
        ),
    ];
    for (args, input, said) in cases {
        let output = home.run_with_input(args, input);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(
            text(&output.stderr).contains(said),
            "{args:?}: {}",
            text(&output.stderr)
        );
    }
}

#[tokio::test]
async fn settings_are_checked_and_shown_without_secrets() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let home = RuntimeHandle::new(engine).await;
        home.run(&["migrate"]);
        let checked = home.json(&["config", "check"]);
        assert_eq!(checked["channels"], 0);
        let shown = home.run(&["config", "check"]);
        assert!(!shown.contains(super::support::SECRET_KEY) && !shown.contains("password"));
    }
}

#[test]
fn a_wrong_setting_is_named_with_what_would_be_right() {
    let folder = tempfile::tempdir().unwrap();
    for (name, value, said) in [
        (
            "RECEIPTD_DATABASE_URL",
            "mysql://x",
            "sqlite: or postgres://",
        ),
        ("RECEIPTD_PUBLIC_LISTEN", "8080", "like 127.0.0.1:8080"),
        ("RECEIPTD_PUBLIC_URL", "reports.example.com", "https://"),
        ("RECEIPTD_SECRET_KEY", "short", "at least 32 characters"),
        ("RECEIPTD_ADMIN_TOKEN", "short", "at least 16"),
        ("RECEIPTD_KEEP_MESSAGES_DAYS", "0", "1 to 36500 days"),
        ("RECEIPTD_QUEUE", "0", "0 is not in 1..="),
        ("RECEIPTD_BATCH", "many", "invalid digit"),
        ("RECEIPTD_LOG_FORMAT", "xml", "text, json"),
        (
            "RECEIPTD_DATABASE_URL",
            "postgres://me@db/receipts?sslmod=verify-full",
            "\"sslmod\" is unknown",
        ),
        ("RECEIPTD_DATABASE_URL", "sqlite:x.db?mod=ro", "mod"),
        ("RECEIPTD_QUEU", "5", "no settings: RECEIPTD_QUEU"),
    ] {
        let mut command = bare_command(&["config", "check"]);
        command.env(name, value).current_dir(folder.path());
        let output = run(command, b"");
        let stderr = text(&output.stderr);
        assert!(
            !output.status.success() && stderr.contains(said) && stderr.contains(name),
            "{name}: {stderr}"
        );
    }
}

#[tokio::test]
async fn a_channel_keeps_its_messages_for_a_time_of_its_own() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let home = RuntimeHandle::new(engine).await;
        let add = ["channel", "add", "1", "--name", "n", "--user", USER];
        let added = home.json(&[&add[..], &["--keep-messages-days", "30"]].concat());
        assert_eq!(added["channel"]["keep_messages_days"], 30);
        let shown = home.run(&["channel", "show", "1"]);
        assert!(shown.contains("for 30 days after"), "{shown}");
        let kept = || home.json(&["channel", "show", "1"])["keep_messages_days"].clone();
        let update = ["channel", "update", "1", "--keep-messages-days"];
        let said = home.run(&[&update[..], &["3650"]].concat());
        assert!(said.contains("for 3650 days after"), "{said}");
        assert_eq!(kept(), 3650);
        // The service's setting is another one.
        home.json(&["--keep-messages-days", "5", "channel", "disable", "1"]);
        assert_eq!(kept(), 3650);
        for wrong in ["0", "36501", "-1", "soon"] {
            let days = format!("--keep-messages-days={wrong}");
            let output = home.run_with_input(&["channel", "update", "1", &days], b"");
            assert_eq!(output.status.code(), Some(2), "{wrong}");
            let stderr = text(&output.stderr);
            assert!(stderr.contains("1 to 36500 days"), "{stderr}");
        }
        let back = home.json(&[&update[..], &["default"]].concat());
        assert_eq!(back["keep_messages_days"], serde_json::json!(null));
        assert_eq!(kept(), serde_json::json!(null));
    }
}

#[test]
fn a_wrong_flag_is_named_even_where_its_variable_is_set_too() {
    let mut command = bare_command(&["config", "check", "--queue=0"]);
    command.env("RECEIPTD_QUEUE", "5");
    let stderr = text(&run(command, b"").stderr);
    assert!(stderr.contains("'--queue <QUEUE>'"), "{stderr}");
}

#[tokio::test]
async fn empty_lists_say_none() {
    let home = RuntimeHandle::new(Engine::Sqlite).await;
    home.run(&["migrate"]);
    for list in [
        &["channel", "list"][..],
        &["message", "list"],
        &["event", "list"],
        &["cursor", "list"],
        &["subscription", "list"],
        &["erasure", "list"],
        &["rejections"],
    ] {
        assert_eq!(home.run(list), "none\n", "{list:?}");
        let json = home.run(&[list, &["--json"]].concat());
        assert!(!json.contains("none"), "{json}");
    }
}

#[tokio::test]
async fn settings_of_the_server_may_stand_after_the_command() {
    let home = RuntimeHandle::new(Engine::Sqlite).await;
    let url = ["--public-url", "https://reports.example.com"];
    let days = ["--keep-messages-days", "5"];
    let checked = home.json(&[&["config", "check"], &url[..], &days[..]].concat());
    assert_eq!(checked["public_url"], "https://reports.example.com");
    home.run(&["migrate"]);
    home.add_channel();
    let args = [&["serve"], &url[..], &days[..]].concat();
    let server = super::support::Server::start(home.command(&args));
    let (_, channel) = server.get(&format!("/api/v1/channels/{CHANNEL}")).await;
    let callback = channel["callback_url"].as_str().unwrap();
    assert!(
        callback.starts_with("https://reports.example.com/"),
        "{callback}"
    );
    for wrong in ["worker", "serve"] {
        let output = home.run_with_input(&[wrong, "--keep-messages-days", "0"], b"");
        assert!(text(&output.stderr).contains("1 to 36500 days"));
    }
}
