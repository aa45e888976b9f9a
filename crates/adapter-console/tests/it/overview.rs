//! The overview.

use testkit::builders::{CHANNEL, channel, report};

use crate::site::{self, Site};

const NOW: i64 = 1_795_370_777_000_000;
const HOUR: i64 = 3_600_000_000;

async fn with_messages() -> Site {
    let site = site::local().await;
    site.add_channel(&channel(CHANNEL).name("Service desk").build())
        .await;
    site.record(&[
        report("SM1").status("sent").at(NOW - HOUR).build(),
        report("SM1")
            .status("delivered")
            .at(NOW - HOUR + 2_000_000)
            .build(),
        report("SM1")
            .status("read")
            .at(NOW - HOUR + 9_000_000)
            .build(),
        report("SM2")
            .status("undelivered")
            .error("63016")
            .at(NOW - HOUR)
            .build(),
        report("SM3").status("sent").at(NOW - 30 * HOUR).build(),
        report("SM4").status("sent").at(NOW - 1_000_000).build(),
    ])
    .await;
    site.count().await;
    site
}

#[tokio::test]
async fn numbers_are_links_to_what_they_count() {
    let site = with_messages().await;
    let admin = site.admin().await;
    let page = admin.get("/console/").await.page();
    assert!(
        page.contains("33\u{a0}% of 3 messages arrived, 33\u{a0}% failed"),
        "{page}"
    );
    let list = site::value_after(&page, "class=\"figure\" href=\"").replace("&#38;", "&");
    let list = list.replace("&amp;", "&");
    let messages = admin.get(&list).await.page();
    for sid in ["SM1", "SM2", "SM4"] {
        assert!(messages.contains(&format!(">{sid}<")), "{sid}: {messages}");
    }
    assert!(!messages.contains(">SM3<"));
    assert!(messages.contains("As in the link"), "{messages}");
    assert!(
        page.contains(">63016<") && page.contains("The sender must act."),
        "{page}"
    );
    assert!(page.contains("Half were delivered within"), "{page}");
}

#[tokio::test]
async fn message_page_says_how_many_others_have_its_error() {
    let site = with_messages().await;
    let path = format!("/console/messages/{CHANNEL}/SM2");
    let page = site.admin().await.get(&path).await.page();
    assert!(
        page.contains("1 message of this channel with this code"),
        "{page}"
    );
}

#[tokio::test]
async fn time_and_channel_are_in_the_url() {
    let site = with_messages().await;
    let admin = site.admin().await;
    let page = admin.get("/console/?range=7d").await.page();
    assert!(page.contains("of 4 messages arrived"), "{page}");
    let other = admin.get("/console/?channel=other").await.page();
    assert!(other.contains("No reports arrived"), "{other}");
    assert_eq!(admin.get("/console/?range=2h").await.status, 400);
}

#[tokio::test]
async fn running_interval_is_marked_and_every_plot_is_described() {
    let site = with_messages().await;
    let page = site.admin().await.get("/console/").await.page();
    assert!(page.contains(">hatched: so far</text>"), "{page}");
    let plots = page.matches("<svg class=\"plot").count();
    assert!(plots >= 5, "{plots}");
    assert_eq!(page.matches("role=\"img\" aria-labelledby=").count(), plots);
    assert!(!page.contains("NaN"));
}

#[tokio::test]
async fn overview_says_what_needs_an_operator() {
    let site = site::local().await;
    let admin = site.admin().await;
    let page = admin.get("/console/").await.page();
    assert!(page.contains("Nothing needs you."), "{page}");
    let calls = domain::ChannelCalls {
        refused: 3,
        ..domain::ChannelCalls::default()
    };
    site.add_channel(&channel("1").name("<b>Sales").build())
        .await;
    site.count_calls("1", calls).await;
    let page = admin.get("/console/").await.page();
    assert!(
        page.contains("1 thing needs you") && page.contains("Wrong credentials"),
        "{page}"
    );
    assert!(!page.contains("<b>Sales"));
}

#[tokio::test]
async fn challenged_channel_says_how_often_and_since_when() {
    let site = site::local().await;
    let admin = site.admin().await;
    site.add_channel(&channel("1").name("Sales").build()).await;
    let calls = domain::ChannelCalls {
        challenged: 900,
        ..domain::ChannelCalls::default()
    };
    site.count_calls("1", calls).await;
    site.count_challenges("1", 400, NOW - 5 * HOUR).await;
    site.count_challenges("1", 12, NOW - HOUR).await;
    for path in ["/console/channels", "/console/channels/1"] {
        let page = admin.get(path).await.page();
        assert!(
            page.contains("Twilio asked 412 times since <time"),
            "{page}"
        );
        assert!(page.contains("never came back with valid credentials"));
    }
    let page = admin.get("/console/channels/1").await.page();
    assert!(page.contains("Requests of the last 24 hours"), "{page}");
    assert!(page.contains("412 requests"), "{page}");
}

#[tokio::test]
async fn csv_has_a_row_for_each_interval() {
    let site = with_messages().await;
    let csv = site
        .admin()
        .await
        .get("/console/overview.csv?range=24h")
        .await
        .page();
    let lines: Vec<_> = csv.lines().collect();
    assert!(
        lines[0].starts_with("interval_start,messages,messages_open"),
        "{csv}"
    );
    assert_eq!(lines.len(), 3, "{csv}");
}
