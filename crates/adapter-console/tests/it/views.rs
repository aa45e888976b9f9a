//! Saved views, and times of one's own.

use domain::access::{AuditAction, AuditFilter, Rights, Role};
use domain::page::PageSize;
use testkit::builders::{CHANNEL, channel, report};

use crate::site::{self, Site};

const NOW: i64 = 1_795_370_777_000_000;

async fn audited(site: &Site, action: AuditAction) -> usize {
    let filter = AuditFilter {
        action: Some(action),
        ..AuditFilter::default()
    };
    let log = &site.access.audit_log;
    log.run(&filter, None, PageSize::MAX)
        .await
        .unwrap()
        .items
        .len()
}

#[tokio::test]
async fn view_is_saved_for_all_operators_and_removed() {
    let site = site::local().await;
    let admin = site.admin().await;
    let page = admin
        .get("/console/messages?status=failed&to=x&after=y")
        .await;
    assert_eq!(page.status, 400, "neither is valid: {}", page.text);
    let page = admin
        .get("/console/messages?status=failed&range=30d")
        .await
        .page();
    let current = site::value_after(&page, "name=\"path\" value=\"").replace("&amp;", "&");
    let current = current.replace("&#38;", "&");
    assert_eq!(current, "/console/messages?status=failed&range=30d");
    let fields = [
        ("name", "<b>Failed</b> \"30 d\""),
        ("path", current.as_str()),
    ];
    let saved = admin.post("/console/views", &fields).await;
    assert_eq!(saved.location(), format!("{current}&done=view-saved"));
    assert_eq!(audited(&site, AuditAction::ViewSave).await, 1);
    assert_eq!(admin.post("/console/views", &fields).await.status, 409);

    let token = site.token("reader", Role::Viewer, Rights::default()).await;
    let viewer = site.signed_in(&token).await;
    let page = viewer.get("/console/").await.page();
    assert!(!page.contains("<b>Failed"), "{page}");
    assert!(
        page.contains("Failed&#60;/b&#62;") || page.contains("Failed&lt;/b&gt;"),
        "{page}"
    );
    assert!(!page.contains("Save this view"), "{page}");
    assert_eq!(viewer.post("/console/views", &fields).await.status, 403);

    let page = admin.get("/console/messages").await.page();
    let remove = site::value_after(&page, "action=\"/console/views/0").to_owned();
    let remove = format!("/console/views/0{remove}");
    assert_eq!(viewer.post(&remove, &[]).await.status, 403);
    let back = [("path", "//example.com/")];
    let removed = admin.post(&remove, &back).await;
    assert_eq!(removed.location(), "/console/?done=view-removed");
    assert_eq!(audited(&site, AuditAction::ViewRemove).await, 1);
    assert_eq!(admin.post(&remove, &back).await.status, 404);
}

#[tokio::test]
async fn view_leads_to_pages_of_the_console_only() {
    let site = site::local().await;
    let admin = site.admin().await;
    for path in [
        "",
        "https://example.com/console/",
        "//example.com/console/",
        "/console//example.com",
        "/console/../docs/",
        "javascript:alert(1)",
    ] {
        let fields = [("name", "a"), ("path", path)];
        let refused = admin.post("/console/views", &fields).await;
        assert_eq!(refused.status, 400, "{path}");
    }
    for name in ["", "a\nb", &"x".repeat(61)] {
        let fields = [("name", name), ("path", "/console/")];
        assert_eq!(
            admin.post("/console/views", &fields).await.status,
            400,
            "{name}"
        );
    }
}

#[tokio::test]
async fn page_without_a_recipient_in_its_view() {
    let site = site::local().await;
    let admin = site.admin().await;
    let found = admin
        .post("/console/messages/search", &[("q", "+15550100001")])
        .await;
    let list = found.location().to_owned();
    assert!(list.contains("to="), "{list}");
    let page = admin.get(&list).await.page();
    let current = site::value_after(&page, "name=\"path\" value=\"");
    assert!(!current.contains("to="), "{current}");
}

#[tokio::test]
async fn messages_of_a_typed_time_are_listed() {
    let site = site::local().await;
    site.add_channel(&channel(CHANNEL).build()).await;
    site.record(&[
        report("SM1").status("sent").at(NOW - 7_200_000_000).build(),
        report("SM2").status("sent").at(NOW).build(),
    ])
    .await;
    let admin = site.admin().await;
    // The zone of the console is Europe/Berlin, an hour ahead of UTC.
    let typed = "since=2026-11-22T16%3A00&until=2026-11-22T18%3A00";
    let page = admin
        .get(&format!("/console/messages?{typed}"))
        .await
        .page();
    assert!(page.contains(">SM1<") && !page.contains(">SM2<"), "{page}");
    assert!(
        page.contains("name=\"since\" value=\"2026-11-22T16:00\""),
        "{page}"
    );
    let page = admin.get(&format!("/console/?{typed}")).await.page();
    assert!(page.contains("first reported in the chosen time"), "{page}");
    assert_eq!(admin.get("/console/?since=soon").await.status, 400);
    let too_long = "/console/?since=2020-01-01T00%3A00";
    assert_eq!(admin.get(too_long).await.status, 400);
}
