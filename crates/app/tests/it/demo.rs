//! The demo channels.

use domain::Timestamp;
use serde_json::Value;

use super::support::{Engine, Installation, Server, until};

const CAMPAIGNS: &str = "demo-campaigns";

#[tokio::test]
async fn demo_channels_are_added_once_with_a_week_of_traffic() {
    let home = Installation::new(Engine::Sqlite).await;
    let added = home.run("demo");
    assert!(added.starts_with("Added 4 demo channels"), "{added}");
    let messages = home.json("message list --limit 500");
    assert_eq!(messages["items"].as_array().unwrap().len(), 500);
    assert_eq!(home.run("demo"), "The demo channels exist already.\n");
    let channels = home.json("channel list");
    assert_eq!(channels["items"].as_array().unwrap().len(), 4);
    let shown = home.json("channel show demo-pharmacy");
    assert!(shown.to_string().contains("412"), "{shown}");
}

#[tokio::test]
async fn demo_subscription_has_deliveries_and_dead_letters_at_no_real_address() {
    let home = Installation::new(Engine::Sqlite).await;
    home.run("demo");
    let subscriptions = home.json("subscription list");
    let subscription = &subscriptions["items"][0];
    let url = subscription["url"].as_str().unwrap();
    assert!(url.starts_with("https://crm.example.invalid/"), "{url}");
    let id = subscription["id"].as_str().unwrap();
    for state in ["delivered", "dead"] {
        let listed = home.json(&format!("subscription deliveries {id} --state {state}"));
        let count = listed["items"].as_array().unwrap().len();
        assert!(count > 0, "{state}: {listed}");
    }
    for state in ["retrying", "waiting"] {
        let listed = home.json(&format!("subscription deliveries {id} --state {state}"));
        assert_eq!(listed["items"].as_array().unwrap().len(), 0, "{listed}");
    }
}

#[tokio::test]
async fn demo_requests_agree_with_credentials_and_rejections() {
    let home = Installation::new(Engine::Sqlite).await;
    home.run("demo");
    let credentials = home.json(&format!("credential list {CAMPAIGNS}"));
    assert!(credentials[0]["last_used"].is_string(), "{credentials}");
    let shown = home.json(&format!("channel show {CAMPAIGNS}"));
    let listed = home.json(&format!("rejections --channel {CAMPAIGNS}"));
    let listed = listed["items"].as_array().unwrap().len();
    assert_eq!(shown["calls"]["rejected"], listed, "{shown}");
    let week = home.json(&format!(
        "stats --channel {CAMPAIGNS} --from {}",
        ago(8 * 24)
    ));
    let requests = &week["total"]["requests"];
    let rejected = requests["rejected"].as_object().unwrap();
    let rejected: u64 = rejected.values().filter_map(Value::as_u64).sum();
    assert_eq!(u64::try_from(listed).unwrap(), rejected, "{requests}");
    assert_eq!(shown["calls"]["challenged"], requests["challenged"]);
}

/// Returns the time so many hours ago.
#[expect(clippy::disallowed_methods, reason = "the demo ends now")]
fn ago(hours: i64) -> String {
    let moment = time::OffsetDateTime::now_utc() - time::Duration::hours(hours);
    Timestamp::try_from(moment).unwrap().to_string()
}

#[tokio::test]
async fn only_the_silent_demo_channel_is_silent_and_a_code_is_frequent() {
    let home = Installation::new(Engine::Sqlite).await;
    home.run("demo");
    let mut command = home.command("serve");
    command.env("RECEIPTD_TROUBLE_INTERVAL_SECONDS", "1");
    let server = Server::start(command);
    let silent = async || {
        let (_, open) = server.get("/api/v1/troubles?state=open").await;
        let items = open["items"].as_array().unwrap().clone();
        items
            .into_iter()
            .filter(|each| each["kind"] == "silence")
            .collect::<Vec<_>>()
    };
    until("the silent channel is found", async || {
        !silent().await.is_empty()
    })
    .await;
    for trouble in silent().await {
        assert_eq!(trouble["channel_id"], "demo-appointments", "{trouble}");
    }
    let settings = home.json(&format!("trouble settings --channel {CAMPAIGNS}"));
    assert_eq!(settings["off"], serde_json::json!(["silence"]));
    let share = |stats: &Value| {
        let code = stats["total"]["errors"]["63016"].as_f64().unwrap();
        (code, code / stats["total"]["messages"].as_f64().unwrap())
    };
    let stats = |time: String| home.json(&format!("stats --channel {CAMPAIGNS} {time}"));
    let (recent, now) = share(&stats(format!("--from {}", ago(1))));
    let (_, usual) = share(&stats(format!("--from {} --until {}", ago(7 * 24), ago(1))));
    assert!(
        recent >= 20.0 && now > 3.0 * usual,
        "{recent} {now} {usual}"
    );
}
