//! Tokens and the audit log of the built program.

use serde_json::Value;

use super::support::{CHANNEL, Engine, Installation, Server, client};

/// Sends a request to the operator's listener with a token and returns the status.
async fn status(server: &Server, token: &str, path: &str) -> u16 {
    let url = format!("{}{path}", server.operator);
    let answer = client().get(url).bearer_auth(token).send().await.unwrap();
    answer.status().as_u16()
}

/// The audited actions and objects, oldest first.
fn entries(home: &Installation) -> Vec<String> {
    let listed = home.json("audit list");
    let items = listed["items"].as_array().unwrap().iter().rev();
    items
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap_or("-").to_owned();
            format!("{} {}", text("action"), text("object"))
        })
        .collect()
}

async fn token_added_on_the_command_line_is_valid_until_revoked(engine: Engine) {
    let home = Installation::new(engine).await;
    home.add_channel();
    let server = home.serve();
    let added = home.json("token add anna --role viewer --expires 2099-12-31T23:59:59Z");
    let token = added["token"].as_str().unwrap();
    assert_eq!(status(&server, token, "/api/v1/channels").await, 200);
    assert_eq!(status(&server, token, "/metrics").await, 200);
    let revealing = format!("/api/v1/channels/{CHANNEL}?reveal=true");
    assert_eq!(status(&server, token, &revealing).await, 403);
    assert_eq!(status(&server, token, "/api/v1/tokens").await, 403);
    let listed = home.json("token list");
    assert_eq!(listed["items"][0]["name"], "anna");
    assert!(listed["items"][0]["last_used"].is_string());
    assert!(!listed.to_string().contains(token));
    home.fails("token add anna --role admin", 1, "there is a token anna");
    home.run("token revoke anna");
    assert_eq!(status(&server, token, "/api/v1/channels").await, 401);
    home.fails(
        "token revoke anna",
        1,
        "there is no token \"anna\" to revoke",
    );
    let shown = home.run("token add bob --role operator --reveal");
    assert!(shown.contains("rcpt_") && shown.contains("shown only once"));
    assert!(!server.log().contains("rcpt_"));
}

#[tokio::test]
async fn token_added_on_the_command_line_is_valid_until_revoked_on_sqlite() {
    token_added_on_the_command_line_is_valid_until_revoked(Engine::Sqlite).await;
}

#[tokio::test]
async fn token_added_on_the_command_line_is_valid_until_revoked_on_postgres() {
    token_added_on_the_command_line_is_valid_until_revoked(Engine::Postgres).await;
}

#[tokio::test]
async fn changes_and_reveals_on_the_command_line_are_audited() {
    let home = Installation::new(Engine::Sqlite).await;
    home.add_channel();
    home.run(&format!("channel disable {CHANNEL}"));
    home.fails("channel disable unknown", 1, "there is no channel");
    home.run(&format!("channel show {CHANNEL}"));
    home.run(&format!("channel show {CHANNEL} --reveal"));
    home.run("message list --reveal");
    home.run("cursor set c latest");
    let added = home.json("token add anna --role viewer --audit");
    let subscription = home.json("subscription add https://subscriber.example.com/");
    let subscription = subscription["id"].as_str().unwrap();
    home.run(&format!("subscription pause {subscription}"));
    let erasure = home.json("erase --recipient +15550100001 --yes");
    home.run("retention release");
    let expected = [
        format!("channel.add {CHANNEL}"),
        format!("channel.change {CHANNEL}"),
        format!("data.reveal channels/{CHANNEL}"),
        "data.reveal messages".to_owned(),
        "cursor.set c".to_owned(),
        format!("token.add {}", added["id"].as_str().unwrap()),
        format!("subscription.add {subscription}"),
        format!("subscription.pause {subscription}"),
        format!("recipient.erase {}", erasure["id"].as_str().unwrap()),
        "retention.release -".to_owned(),
    ];
    assert_eq!(entries(&home), expected);

    let listed = home.json("audit list --action token.add");
    let entry = &listed["items"][0];
    let operator = entry["operator"].as_str().unwrap();
    assert!(
        operator.starts_with("cli/") && operator.len() > 4,
        "{operator}"
    );
    assert_eq!(entry["details"], "anna: viewer, audit");
    assert_eq!(entry["source"], Value::Null);
    let none = home.json(&format!(
        "audit list --operator {operator} --until 2020-01-01T00:00:00Z"
    ));
    assert_eq!(none["items"], Value::Array(Vec::new()));
    home.fails(
        "audit list --action nothing",
        1,
        "an action is a name such as channel.add",
    );
    let log = home.run("audit list --json");
    for secret in [added["token"].as_str().unwrap(), "5550100001"] {
        assert!(!log.contains(secret), "{log}");
    }
}
