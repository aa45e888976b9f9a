//! What the lists of the command line look like on a terminal.

use super::support::{CHANNEL, Engine, Installation, Server, USER, run, text};

/// The columns of the terminal.
const WIDTH: usize = 80;

/// Runs a command on a terminal of [`WIDTH`] columns and returns what it prints.
fn run_on_terminal(home: &Installation, line: &str) -> String {
    let mut command = home.command(line);
    command.env("COLUMNS", WIDTH.to_string());
    let output = run(command, b"");
    assert!(output.status.success(), "{line}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[tokio::test]
async fn empty_lists_say_so_and_what_to_do_next() {
    let home = Installation::new(Engine::Sqlite).await;
    home.run("migrate");
    for (line, expected) in [
        ("channel list", "no channels; `receiptd channel add"),
        ("message list", "no messages; check the filters"),
        ("event list", "no events; `receiptd event tail`"),
        ("cursor list", "no cursors; `receiptd cursor set"),
        (
            "subscription list",
            "no subscriptions; `receiptd subscription add",
        ),
        ("erasure list", "no erasures; `receiptd erase"),
        ("rejections", "no rejected reports"),
        ("token list", "no tokens; `receiptd token add"),
        ("audit list", "no entries; check the filters"),
    ] {
        let shown = run_on_terminal(&home, line);
        assert!(shown.starts_with(expected), "{line}: {shown}");
        assert!(shown.trim_end().chars().count() <= WIDTH, "{line}: {shown}");
        let json = home.run(&format!("{line} --json"));
        assert!(!json.contains("no "), "{line}: {json}");
    }
}

#[tokio::test]
async fn lists_fit_the_terminal_and_never_cut_an_id() {
    let home = Installation::new(Engine::Sqlite).await;
    home.add_channel();
    let server = Server::start(home.command("serve --no-workers"));
    let sid = format!("SM{:032x}", 1);
    assert_eq!(server.report(&sid, "sent").await, 204);
    assert_eq!(server.report(&sid, "delivered").await, 204);
    // Without a status: it becomes a rejection.
    assert_eq!(server.report(&format!("SM{:032x}", 2), "").await, 400);
    let description = "'the workbench of the support desk, which shows failed messages to agents'";
    let url = "https://workbench.example.com/hooks/receipts";
    let add = format!("subscription add {url} --after oldest --description {description}");
    let subscription = home.json(&add)["id"].as_str().unwrap().to_owned();
    home.run(&format!(
        "event replay {subscription} --message {CHANNEL} {sid}"
    ));
    home.run(&format!(
        "credential add {CHANNEL} --user {USER} --label '2027 rotation'"
    ));
    let name = "w".repeat(64);
    let cursor = home.json(&format!("cursor set {name} latest"));
    let erase = "erase --recipient +15559999999 --reason 'ticket 4711, by letter' --yes";
    let erasure = home.json(erase)["id"].as_str().unwrap().to_owned();
    let deliveries = format!("subscription deliveries {subscription}");
    let delivery = home.json(&deliveries)["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let credentials = home.json(&format!("credential list {CHANNEL}"));
    let credential = credentials[0]["id"].as_str().unwrap().to_owned();

    let token = home.json("token add 'a service with a long name' --role operator --reveal");
    let token = token["id"].as_str().unwrap().to_owned();

    for (line, ids) in [
        ("token list", &[token.as_str()][..]),
        ("audit list", &[CHANNEL, &token, &erasure]),
        ("channel list", &[CHANNEL]),
        (&format!("channel show {CHANNEL}"), &[CHANNEL]),
        (&format!("credential list {CHANNEL}"), &[&credential]),
        ("message list", &[CHANNEL, &sid]),
        (&format!("message show {CHANNEL} {sid}"), &[CHANNEL, &sid]),
        ("event list", &[CHANNEL, &sid]),
        (
            "cursor list",
            &[&name, cursor["position"].as_str().unwrap()],
        ),
        ("subscription list", &[&subscription, url]),
        (
            &format!("subscription show {subscription}"),
            &[&subscription, url],
        ),
        (&deliveries, &[&delivery, CHANNEL, &sid]),
        (
            &format!("delivery show {delivery}"),
            &[&delivery, CHANNEL, &sid],
        ),
        ("erasure list", &[&erasure]),
        (&format!("erasure show {erasure}"), &[&erasure]),
        ("rejections", &[CHANNEL]),
        ("retention show", &["messages"]),
        ("config check", &["database"]),
    ] {
        let shown = run_on_terminal(&home, line);
        for row in shown.lines() {
            // A URL is not cut either.
            let fits = row.chars().count() <= WIDTH || row.contains("://");
            assert!(fits, "{line}: {row:?}");
        }
        for id in ids {
            assert!(shown.contains(id), "{line}: {id} in {shown}");
        }
        // Times are shown to the second.
        let mut words = shown.split_whitespace();
        let has_fraction = words.any(|word| word.ends_with('Z') && word.contains('.'));
        assert!(!has_fraction, "{line}: {shown}");
        assert!(!shown.contains("none\n"), "{line}: {shown}");
    }
    let listed = home.run("message list");
    assert_eq!(
        listed.lines().count(),
        2,
        "one line per message without a terminal: {listed}"
    );
}

#[tokio::test]
async fn report_of_a_message_has_one_line_without_empty_columns() {
    let home = Installation::new(Engine::Sqlite).await;
    home.add_channel();
    let server = Server::start(home.command("serve --no-workers"));
    for status in ["sent", "delivered"] {
        assert_eq!(server.report("SM1", status).await, 204);
    }
    let shown = run_on_terminal(&home, &format!("message show {CHANNEL} SM1"));
    let reports = shown.lines().skip_while(|row| !row.starts_with('#'));
    let reports: Vec<_> = reports.collect();
    assert_eq!(reports.len(), 3, "{shown}");
    for empty in ["IDEMPOTENCY", "HAPPENED", "ERROR"] {
        assert!(!reports[0].contains(empty), "{shown}");
    }
}
