//! The pages of channels.

use domain::access::{AuditAction, AuditFilter};
use domain::page::PageSize;
use testkit::builders::channel;

use crate::site;

const NEW: [(&str, &str); 4] = [
    ("name", "Service desk"),
    ("id", "42"),
    ("integrator", "twilio"),
    ("user", "webhook"),
];

#[tokio::test]
async fn new_channel_shows_its_password_once() {
    let site = site::local().await;
    let admin = site.admin().await;
    let page = admin.post("/console/channels/new", &NEW).await.page();
    let password = site::value_after(&page.replace('<', "\""), "id=\"password\">").to_owned();
    assert_eq!(password.len(), 43, "{password}");
    let url = format!("https://webhook:{password}@reports.example.com/social/on/whatsapp/");
    assert!(page.contains(&url), "{page}");
    let page = admin.get("/console/channels/42").await.page();
    assert!(!page.contains(&password));
    assert!(page.contains("No request has reached its URL."), "{page}");
    let filter = AuditFilter {
        action: Some(AuditAction::ChannelAdd),
        ..AuditFilter::default()
    };
    let entries = site
        .access
        .audit_log
        .run(&filter, None, PageSize::MAX)
        .await;
    assert_eq!(entries.unwrap().items.len(), 1);
    let again = admin.post("/console/channels/new", &NEW).await;
    assert_eq!(again.status, 409);
    assert!(again.text.contains("there is a channel 42 already"));
}

#[tokio::test]
async fn invalid_form_comes_back_with_what_was_entered() {
    let site = site::local().await;
    let admin = site.admin().await;
    let fields = [
        ("name", "Service desk"),
        ("id", "a/b"),
        ("integrator", "twilio"),
        ("user", "a:b"),
        ("senders", "whatsapp:+15550109999\nnobody"),
        ("keep_messages_days", "0"),
        ("signing_token", "secret-token"),
    ];
    let answer = admin.post("/console/channels/new", &fields).await;
    assert_eq!(answer.status, 400);
    for field in ["id", "user", "senders", "keep_messages_days"] {
        assert!(
            answer.text.contains(&format!("href=\"#{field}\"")),
            "{field}"
        );
    }
    assert!(answer.text.contains("value=\"a/b\""));
    assert!(!answer.text.contains("secret-token"));
}

#[tokio::test]
async fn settings_are_changed_only_if_nobody_else_changed_them() {
    let site = site::local().await;
    let stored = channel("1")
        .senders(&["whatsapp:+15550109999", "rcs:brand"])
        .build();
    site.add_channel(&stored).await;
    let admin = site.admin().await;
    let form = admin.get("/console/channels/1/edit").await.page();
    assert!(
        form.contains("whatsapp:+***9999") && !form.contains("5550109999"),
        "{form}"
    );
    let fields = [
        ("version", "1"),
        ("name", "Renamed"),
        ("keep", "1"),
        ("senders", "whatsapp:+15550108888"),
        ("keep_messages_days", "30"),
    ];
    let answer = admin.post("/console/channels/1/edit", &fields).await;
    assert_eq!(
        answer.location(),
        "/console/channels/1?done=channel-changed"
    );
    let changed = site.channel("1").await;
    let senders: Vec<_> = changed
        .senders
        .iter()
        .map(domain::Address::reveal)
        .collect();
    assert_eq!(changed.name.as_str(), "Renamed");
    assert_eq!(senders, ["rcs:brand", "whatsapp:+15550108888"]);
    assert_eq!(changed.keep_messages_days.unwrap().get(), 30);
    assert_eq!(
        admin.post("/console/channels/1/edit", &fields).await.status,
        409
    );
}

#[tokio::test]
async fn password_is_replaced_without_a_gap() {
    let site = site::local().await;
    let admin = site.admin().await;
    admin.post("/console/channels/new", &NEW).await.page();
    let page = admin
        .post("/console/channels/42/credentials", &[])
        .await
        .page();
    assert!(page.contains("New credential"), "{page}");
    assert_eq!(site.credentials("42").await.len(), 2);
    let third = admin.post("/console/channels/42/credentials", &[]).await;
    assert_eq!(third.status, 409);
    let old = site.credentials("42").await[0].id;
    let path = format!("/console/channels/42/credentials/{old}/remove");
    let answer = admin.post(&path, &[]).await;
    assert_eq!(
        answer.location(),
        "/console/channels/42?done=credential-removed"
    );
    assert_eq!(site.credentials("42").await.len(), 1);
    let page = admin.get(answer.location()).await.page();
    assert!(page.contains("The credential was removed."));
}

#[tokio::test]
async fn channel_is_switched_off_on_and_removed() {
    let site = site::local().await;
    site.add_channel(&channel("1").build()).await;
    let admin = site.admin().await;
    admin
        .post("/console/channels/1/disable", &[])
        .await
        .location();
    assert!(!site.channel("1").await.enabled);
    admin
        .post("/console/channels/1/enable", &[])
        .await
        .location();
    assert!(site.channel("1").await.enabled);
    admin
        .post("/console/channels/1/remove", &[])
        .await
        .location();
    assert_eq!(admin.get("/console/channels/1").await.status, 404);
}

#[tokio::test]
async fn test_report_shows_its_steps() {
    let site = site::local().await;
    site.add_channel(&channel("1").build()).await;
    let admin = site.admin().await;
    let page = admin.get("/console/channels/1").await.page();
    assert!(
        page.contains("action=\"/console/channels/1/test\""),
        "{page}"
    );
    let page = admin.post("/console/channels/1/test", &[]).await.page();
    assert!(page.contains("Not received"), "{page}");
    assert!(page.contains("the name has no address"), "{page}");
    assert_eq!(page.matches("Not tried").count(), 5, "{page}");
    assert_eq!(site.credentials("1").await.len(), 1);
    let filter = AuditFilter {
        action: Some(AuditAction::ChannelTest),
        ..AuditFilter::default()
    };
    let entries = site
        .access
        .audit_log
        .run(&filter, None, PageSize::MAX)
        .await;
    assert_eq!(entries.unwrap().items.len(), 1);
}

#[tokio::test]
async fn channel_that_is_off_is_not_tested() {
    let site = site::local().await;
    site.add_channel(&channel("1").disabled().build()).await;
    let admin = site.admin().await;
    let page = admin.get("/console/channels/1").await.page();
    assert!(!page.contains("/console/channels/1/test"), "{page}");
    assert_eq!(
        admin.post("/console/channels/1/test", &[]).await.status,
        409
    );
}
