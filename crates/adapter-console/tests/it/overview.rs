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

/// Records messages with every outcome; two of them failed, in the two ways.
async fn with_every_outcome() -> Site {
    let site = site::local().await;
    let outcomes = [
        ("SMopen", &["queued"][..]),
        ("SMunknown", &["teleported"]),
        ("SMpartial", &["partially_delivered"]),
        ("SMdelivered", &["delivered"]),
        ("SMread", &["delivered", "read"]),
        ("SMfailed", &["failed"]),
        ("SMundelivered", &["sent", "undelivered"]),
        ("SMboth", &["failed", "delivered"]),
        ("SMbothread", &["undelivered", "read"]),
        ("SMcanceled", &["canceled"]),
    ];
    let mut reports = Vec::new();
    for (sid, statuses) in outcomes {
        for (status, at) in statuses.iter().zip(NOW - HOUR..) {
            reports.push(report(sid).status(status).at(at).build());
        }
    }
    site.add_channel(&channel(CHANNEL).name("Service desk").build())
        .await;
    site.record(&reports).await;
    site.count().await;
    site
}

#[tokio::test]
async fn list_of_each_number_has_as_many_messages() {
    let site = with_every_outcome().await;
    let admin = site.admin().await;
    let page = admin.get("/console/").await.page();
    let mut counted = Vec::new();
    for figure in page.split("<a class=\"figure\" href=\"").skip(1) {
        let (path, rest) = figure.split_once("\">").unwrap();
        let number: usize = rest.split_once('<').unwrap().0.parse().unwrap();
        let path = path.replace("&#38;", "&").replace("&amp;", "&");
        let list = admin.get(&path).await.page();
        assert_eq!(list.matches("class=\"sid\"").count(), number, "{path}");
        counted.push(number);
    }
    // Reported, arrived, read, failed, contradicted, open, canceled.
    assert_eq!(counted, [10, 2, 1, 2, 2, 3, 1]);
    assert_eq!(counted[0], counted[1] + counted[3..].iter().sum::<usize>());
}

#[tokio::test]
async fn figures_name_canceled_messages_only_if_there_are_any() {
    let site = with_messages().await;
    let page = site.admin().await.get("/console/").await.page();
    assert!(!page.contains("</span>Canceled</dt>"), "{page}");
}

#[tokio::test]
async fn counts_are_not_compared_with_a_time_that_was_not_counted() {
    let site = with_messages().await;
    let admin = site.admin().await;
    let page = admin.get("/console/?range=7d").await.page();
    assert!(
        page.contains("not compared: the time before was not counted"),
        "{page}"
    );
    assert!(!page.contains("class=\"delta\""), "{page}");
}

#[tokio::test]
async fn counts_are_compared_with_the_same_elapsed_length() {
    let site = site::local().await;
    // Twelve messages at each quarter of an hour for four days.
    let quarter = HOUR / 4;
    let mut reports = Vec::new();
    for place in 1..400_i64 {
        for number in 0..12 {
            let at = NOW - place * quarter;
            let sid = format!("SM{place:04}x{number}");
            reports.push(report(&sid).status("sent").at(at).build());
        }
    }
    for chunk in reports.chunks(500) {
        site.record(chunk).await;
    }
    for _ in 0..20 {
        site.count().await;
    }
    let page = site.admin().await.get("/console/?range=1h").await.page();
    let words = "counts compared with the hour before, without the running quarter of an hour";
    assert!(page.contains(words), "{page}");
    assert!(page.contains("count = before"), "{page}");
}

#[tokio::test]
async fn small_plots_have_few_points() {
    let site = with_messages().await;
    let page = site.admin().await.get("/console/?range=7d").await.page();
    for spark in page.split("<svg class=\"plot spark").skip(1) {
        let line = site::value_after(spark, "class=\"line\" d=\"");
        assert!(line.matches('L').count() < 28, "{line}");
    }
    assert!(page.contains("1 code</h2>"), "{page}");
}

#[tokio::test]
async fn exports_are_audited_with_their_filter() {
    let site = with_messages().await;
    let admin = site.admin().await;
    let to = "to=sealed";
    for (path, exported) in [
        ("/console/overview.csv?range=7d", "overview"),
        ("/console/codes.csv?range=7d", "error codes"),
        ("/console/messages.csv?status=read&range=7d", "messages"),
        ("/console/rejections.csv?channel=1", "rejections"),
        ("/console/channels.csv", "channels"),
        ("/console/trouble.csv", "troubles"),
        ("/console/audit.csv?action=view.save", "audit"),
    ] {
        let csv = admin.get(path).await;
        assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
        assert!(csv.page().contains(','), "{path}");
        let audit = admin.get("/console/audit?action=data.export").await.page();
        let entry = audit.split("<tr role=\"row\">").nth(2).unwrap();
        assert!(entry.contains(exported), "{path}: {entry}");
        let query = path.split_once('?').map_or("", |(_, query)| query);
        for pair in query.split('&') {
            assert!(entry.contains(pair), "{pair}: {entry}");
        }
    }
    assert!(
        admin
            .get(&format!("/console/messages.csv?{to}"))
            .await
            .status
            == 400
    );
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

#[tokio::test]
async fn errors_are_shown_with_the_navigation() {
    let site = site::local().await;
    let answer = site.admin().await.get("/console/messages?range=2h").await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.text.contains("aria-current=\"page\" data-key=\"m\""),
        "{}",
        answer.text
    );
    let stranger = site.stranger().get("/console/assets/none").await;
    assert!(!stranger.text.contains("data-key"), "{}", stranger.text);
}

#[tokio::test]
async fn channel_without_messages_says_what_to_do() {
    let site = site::local().await;
    site.add_channel(&channel("1").name("Sales").build()).await;
    let page = site.admin().await;
    let page = page.get("/console/messages?channel=1&range=all").await;
    let page = page.page();
    assert!(page.contains("Nothing was reported on Sales yet"), "{page}");
}
