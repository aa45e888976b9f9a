//! The pages of messages.

use domain::access::{AuditAction, AuditFilter, Rights, Role};
use domain::page::PageSize;
use domain::{CredentialId, MessageSid};
use testkit::builders::{CHANNEL, channel, report, twilio_sid};

use crate::site::{self, Site};

/// A value that would run a script or close an attribute if it were not escaped.
const HOSTILE: &str = "\"><script>alert(1)</script><img src=x onerror='x'>";

const NOW: i64 = 1_795_370_777_000_000;

async fn with_messages() -> Site {
    let site = site::local().await;
    site.add_channel(&channel(CHANNEL).name("Service desk").build())
        .await;
    site.record(&[
        report("SM1").status("sent").at(NOW - 4_000_000).build(),
        report("SM1").status("read").at(NOW - 3_000_000).build(),
        report("SM1")
            .status("delivered")
            .at(NOW - 2_000_000)
            .build(),
        report("SM2")
            .status("undelivered")
            .error_with_text("63016", "failed for +15550100002")
            .to("whatsapp:+15550100002")
            .at(NOW - 1_000_000)
            .build(),
    ])
    .await;
    site
}

#[tokio::test]
async fn list_shows_masked_messages_newest_first() {
    let site = with_messages().await;
    let page = site.admin().await.get("/console/messages").await.page();
    let (one, two) = (page.find(">SM1<").unwrap(), page.find(">SM2<").unwrap());
    assert!(two < one);
    assert!(page.contains("whatsapp:+***0001"));
    assert!(!page.contains("5550100001"));
    assert!(page.contains("Service desk"));
    assert!(page.contains("Outside the 24-hour window"), "{page}");
}

#[tokio::test]
async fn list_tells_nothing_yet_from_no_match() {
    let site = site::local().await;
    let admin = site.admin().await;
    let page = admin.get("/console/messages").await.page();
    assert!(page.contains("Nothing was reported yet"));
    let page = admin.get("/console/messages?status=read").await.page();
    assert!(page.contains("No message matches"));
}

#[tokio::test]
async fn list_filters_by_status_code_and_channel() {
    let site = with_messages().await;
    site.count().await;
    let admin = site.admin().await;
    let has = async |query: &str| {
        let page = admin
            .get(&format!("/console/messages?{query}"))
            .await
            .page();
        (page.contains(">SM1<"), page.contains(">SM2<"))
    };
    assert_eq!(has("status=read").await, (true, false));
    assert_eq!(has("code=63016").await, (false, true));
    assert_eq!(has("contradicted=1").await, (false, false));
    assert_eq!(has("channel=other").await, (false, false));
    assert_eq!(admin.get("/console/messages?status=Read").await.status, 400);
}

#[tokio::test]
async fn long_list_has_pages_without_gaps_or_repetitions() {
    let site = site::local().await;
    site.add_channel(&channel(CHANNEL).build()).await;
    let reports: Vec<_> = (0..120)
        .map(|number| report(&twilio_sid(number)).at(NOW - 1_000_000).build())
        .collect();
    site.record(&reports).await;
    let admin = site.admin().await;
    let (mut path, mut seen) = ("/console/messages".to_owned(), Vec::new());
    loop {
        let page = admin.get(&path).await.page();
        let rows = page.split("data-row>").skip(1);
        seen.extend(rows.map(|row| row.split('<').next().unwrap().to_owned()));
        let Some((before, _)) = page.split_once("\" rel=\"next\"") else {
            break;
        };
        path = before.rsplit('"').next().unwrap().replace("&amp;", "&");
    }
    assert_eq!(seen.len(), 120);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 120);
}

#[tokio::test]
async fn page_that_ends_without_a_match_offers_older_messages() {
    let site = site::local().await;
    site.add_channel(&channel(CHANNEL).build()).await;
    let old = report("old").status("read").at(NOW - 2_000_000).build();
    let newer = (0..10_000).map(|number| {
        let report = report(&twilio_sid(number)).status("sent");
        report.at(NOW - 1_000_000).build()
    });
    let reports: Vec<_> = [old].into_iter().chain(newer).collect();
    site.record(&reports).await;
    let admin = site.admin().await;
    let page = admin.get("/console/messages?status=read").await.page();
    assert!(page.contains("No match so far"), "{page}");
    let (before, _) = page.split_once("\" rel=\"next\"").unwrap();
    let older = before.rsplit('"').next().unwrap().replace("&#38;", "&");
    let page = admin.get(&older).await.page();
    assert!(page.contains(">old<"), "{page}");
    assert!(!page.contains("rel=\"next\""));
}

#[tokio::test]
async fn search_never_puts_a_number_into_a_url() {
    let site = with_messages().await;
    site.count().await;
    let admin = site.admin().await;
    let found = admin
        .post("/console/messages/search", &[("q", "+1 (555) 010-0002")])
        .await;
    let location = found.location().to_owned();
    assert!(
        !location.contains("0100002") && !location.contains("0002"),
        "{location}"
    );
    let page = admin.get(&location).await.page();
    assert!(page.contains(">SM2<") && !page.contains(">SM1<"), "{page}");
    assert!(page.contains("whatsapp:+***0002") && !page.contains("5550100002"));
    let code = admin
        .post("/console/messages/search", &[("q", "63016")])
        .await;
    assert_eq!(code.location(), "/console/messages?code=63016");
    let sid = admin
        .post("/console/messages/search", &[("q", "SM1")])
        .await;
    assert_eq!(sid.location(), format!("/console/messages/{CHANNEL}/SM1"));
    let none = admin
        .post("/console/messages/search", &[("q", "SM9")])
        .await;
    assert_eq!(none.status, 404);
}

#[tokio::test]
async fn message_page_explains_what_happened_and_why() {
    let site = with_messages().await;
    let admin = site.admin().await;
    let page = admin
        .get(&format!("/console/messages/{CHANNEL}/SM1"))
        .await
        .page();
    assert!(page.contains("read was already known"), "{page}");
    assert!(page.contains("role=\"img\""));
    let page = admin
        .get(&format!("/console/messages/{CHANNEL}/SM2"))
        .await
        .page();
    assert!(page.contains("The message was not delivered: Outside the 24-hour window."));
    assert!(page.contains("The sender must act."));
    assert!(page.contains("failed for +***0002"), "{page}");
    assert!(!page.contains("5550100002"));
    let missing = admin.get(&format!("/console/messages/{CHANNEL}/SM9")).await;
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn hostile_values_of_reports_are_text() {
    let site = site::local().await;
    site.add_channel(&channel(CHANNEL).name(HOSTILE).build())
        .await;
    let sid = "SM1\"><script>";
    site.record(&[report(sid)
        .status(HOSTILE.get(..50).unwrap())
        .error_with_text("<b>63016", HOSTILE)
        .to(HOSTILE)
        .from(HOSTILE)
        .token(HOSTILE)
        .fields([(HOSTILE, HOSTILE), ("ApiVersion", HOSTILE)])
        .at(NOW)
        .build()])
        .await;
    let admin = site.admin().await;
    let message = format!("/console/messages/{CHANNEL}/SM1%22%3E%3Cscript%3E");
    let revealed = admin.post(&format!("{message}/reveal"), &[]).await.page();
    let mut pages = vec![revealed];
    let edit = format!("/console/channels/{CHANNEL}/edit");
    let shown = format!("/console/channels/{CHANNEL}");
    for path in [
        "/console/messages",
        &message,
        "/console/channels",
        &edit,
        &shown,
    ] {
        pages.push(admin.get(path).await.page());
    }
    for page in pages {
        assert!(!page.contains("<script>"), "{page}");
        assert!(!page.contains("<img src=x"), "{page}");
        assert!(!page.contains("<b>63016"), "{page}");
    }
}

#[tokio::test]
async fn reveal_requires_the_right_and_is_audited() {
    let site = with_messages().await;
    let path = format!("/console/messages/{CHANNEL}/SM1/reveal");
    let token = site
        .token("masked", Role::Operator, Rights::default())
        .await;
    let operator = site.signed_in(&token).await;
    let refused = operator.post(&path, &[]).await;
    assert_eq!(refused.status, 403);
    assert!(!refused.text.contains("5550100001"));
    let page = operator
        .get(&format!("/console/messages/{CHANNEL}/SM1"))
        .await
        .page();
    assert!(!page.contains("/reveal"), "{page}");
    let page = site.admin().await.post(&path, &[]).await.page();
    assert!(page.contains("whatsapp:+15550100001"));
    let filter = AuditFilter {
        action: Some(AuditAction::DataReveal),
        ..AuditFilter::default()
    };
    let entries = site
        .access
        .audit_log
        .run(&filter, None, PageSize::MAX)
        .await;
    let entries = entries.unwrap().items;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].operator.as_str(), "admin");
    let object = entries[0].object.as_ref().unwrap();
    assert_eq!(object.as_str(), format!("messages/{CHANNEL}/SM1"));
}

#[tokio::test]
async fn csv_has_the_same_filter_is_masked_and_calculates_nothing() {
    let site = with_messages().await;
    site.record(&[report("=HYPERLINK(1)")
        .status("failed")
        .error("=1+1")
        .at(NOW)
        .build()])
        .await;
    site.count().await;
    let admin = site.admin().await;
    let answer = admin.get("/console/messages.csv?status=failed").await;
    assert_eq!(
        answer.header("content-type"),
        Some("text/csv; charset=utf-8")
    );
    let text = answer.page();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].starts_with("first_reported_at,last_reported_at,channel_id,message_sid"));
    assert!(lines[1].contains(",'=HYPERLINK(1),"), "{text}");
    assert!(lines[1].contains(",'=1+1,"), "{text}");
    let all = admin.get("/console/messages.csv").await.page();
    assert_eq!(all.lines().count(), 4);
    assert!(
        !all.contains("5550100001") && all.contains("whatsapp:+***0001"),
        "{all}"
    );
}

#[tokio::test]
async fn test_message_is_marked() {
    let site = site::local().await;
    let report = report(MessageSid::of_test(CredentialId(uuid::Uuid::nil())).as_str());
    let report = report.status("delivered").build();
    let path = format!(
        "/console/messages/{}/{}",
        report.key.channel, report.key.sid
    );
    site.record(&[report]).await;
    let admin = site.admin().await;
    let list = admin.get("/console/messages?range=all").await.page();
    assert!(list.contains("</svg>Test</span>"), "{list}");
    let page = admin.get(&path).await.page();
    assert!(
        page.contains("the message of a test of the channel"),
        "{page}"
    );
    assert!(page.contains("temporary credential of the test"), "{page}");
}
