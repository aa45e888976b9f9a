//! The pages of channels.

use domain::access::{AuditAction, AuditFilter, Rights, Role};
use domain::crypto::SealedSecret;
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

#[tokio::test]
async fn forward_url_is_set_shown_and_removed() {
    const URL: &str = "https://inbox.example.com/a?token=secret";
    let site = site::local().await;
    let admin = site.admin().await;
    let with_url =
        |fields: &[(&'static str, &'static str)], url| [fields, &[("forward_url", url)]].concat();
    let refused = admin
        .post("/console/channels/new", &with_url(&NEW, URL))
        .await;
    assert_eq!(refused.status, 409, "Twilio sends reports only");
    assert!(
        refused.text.contains("href=\"#forward_url\""),
        "{}",
        refused.text
    );

    let stored = channel("1")
        .integrator("meta")
        .signing_token(SealedSecret(vec![1]))
        .build();
    site.add_channel(&stored).await;
    let fields = [("version", "1"), ("name", "Service desk")];
    let private = with_url(&fields, "http://10.0.0.1/");
    let refused = admin.post("/console/channels/1/edit", &private).await;
    assert_eq!(refused.status, 400);
    assert!(
        refused.text.contains("a private address"),
        "{}",
        refused.text
    );
    let changed = admin
        .post("/console/channels/1/edit", &with_url(&fields, URL))
        .await;
    assert_eq!(
        changed.location(),
        "/console/channels/1?done=channel-changed"
    );
    assert_eq!(site.channel("1").await.forward_url.unwrap().reveal(), URL);
    let page = admin.get("/console/channels/1").await.page();
    assert!(page.contains("https://inbox.example.com/a?***"), "{page}");
    assert!(
        page.contains("0 requests") && !page.contains("token=secret"),
        "{page}"
    );

    // A form that is saved without a URL keeps it.
    let kept = [("version", "2"), ("name", "Renamed")];
    admin
        .post("/console/channels/1/edit", &kept)
        .await
        .location();
    assert_eq!(site.channel("1").await.forward_url.unwrap().reveal(), URL);

    // Without the right to reveal it can only be removed.
    let token = site
        .token("operator", Role::Operator, Rights::default())
        .await;
    let operator = site.signed_in(&token).await;
    let form = operator.get("/console/channels/1/edit").await.page();
    assert!(
        !form.contains("name=\"forward_url\"") && form.contains("unforwarded"),
        "{form}"
    );
    let forbidden = with_url(
        &[("version", "3"), ("name", "Renamed")],
        "https://b.example/",
    );
    let refused = operator.post("/console/channels/1/edit", &forbidden).await;
    assert_eq!(refused.status, 403);
    let refused = operator
        .post("/console/channels/new", &with_url(&NEW, URL))
        .await;
    assert_eq!(refused.status, 403);
    let removed = [("version", "3"), ("name", "Renamed"), ("unforwarded", "1")];
    operator
        .post("/console/channels/1/edit", &removed)
        .await
        .location();
    assert_eq!(site.channel("1").await.forward_url, None);
    let filter = AuditFilter {
        action: Some(AuditAction::ChannelChange),
        ..AuditFilter::default()
    };
    let entries = site
        .access
        .audit_log
        .run(&filter, None, PageSize::MAX)
        .await;
    let details: Vec<_> = entries
        .unwrap()
        .items
        .into_iter()
        .map(|entry| entry.details.unwrap().as_str().to_owned())
        .collect();
    assert_eq!(details, ["forward URL", "name", "forward URL"]);
}
