//! The pages of subscriptions.

use domain::access::{AuditAction, Rights, Role};

use crate::pages::audited;
use crate::site;

const SUBSCRIPTION: [(&str, &str); 3] = [
    ("url", "https://crm.example.com/hook?key=secret"),
    ("description", "CRM"),
    ("type", "message.delivered"),
];

async fn subscription(browser: &site::Browser) -> String {
    let list = browser.get("/console/subscriptions").await.page();
    let id = site::value_after(&list, "href=\"/console/subscriptions/0");
    format!("/console/subscriptions/0{id}")
}

#[tokio::test]
async fn subscription_is_created_tested_paused_resumed_and_removed() {
    let site = site::local().await;
    let admin = site.admin().await;
    let created = admin
        .post("/console/subscriptions/new", &SUBSCRIPTION)
        .await
        .page();
    assert!(created.contains("whsec_"), "{created}");
    let path = subscription(&admin).await;
    let page = admin.get(&path).await.page();
    assert!(page.contains("message.delivered") && page.contains("https://crm.example.com/hook"));
    assert!(
        !page.contains("whsec_") && !page.contains("key=secret"),
        "{page}"
    );
    let edit = format!("{path}/edit");
    let form = admin.get(&edit).await.page();
    assert!(
        form.contains("value=\"message.delivered\" checked"),
        "{form}"
    );
    let fields = [
        ("version", "1"),
        ("description", "Renamed"),
        ("type", "message.read"),
    ];
    admin.post(&edit, &fields).await.location();
    assert_eq!(admin.post(&edit, &fields).await.status, 409);
    let page = admin.get(&path).await.page();
    assert!(
        page.contains("Renamed") && page.contains("message.read"),
        "{page}"
    );
    let tested = admin.post(&format!("{path}/test"), &[]).await.page();
    assert!(
        tested.contains("The endpoint accepted the test event."),
        "{tested}"
    );
    assert!(tested.contains("thank you"));
    let paused = admin.post(&format!("{path}/pause"), &[]).await;
    let page = admin.get(paused.location()).await.page();
    assert!(page.contains("Paused by an operator"), "{page}");
    let resumed = admin.post(&format!("{path}/resume"), &[]).await;
    assert!(resumed.location().ends_with("?done=subscription-resumed"));
    let rotated = admin.post(&format!("{path}/secret"), &[]).await.page();
    assert!(rotated.contains("whsec_"));
    let again = admin.post(&format!("{path}/secret"), &[]).await;
    assert_eq!(again.status, 409);
    let replayed = admin
        .post(&format!("{path}/replay"), &[("hours", "2")])
        .await;
    assert!(replayed.location().ends_with("?done=replay-started"));
    let refused = admin
        .post(&format!("{path}/replay"), &[("hours", "0")])
        .await;
    assert_eq!(refused.status, 400);
    admin.post(&format!("{path}/remove"), &[]).await.location();
    assert_eq!(admin.get(&path).await.status, 404);
    for action in [
        AuditAction::SubscriptionAdd,
        AuditAction::SubscriptionChange,
        AuditAction::SubscriptionTest,
        AuditAction::SubscriptionPause,
        AuditAction::SubscriptionResume,
        AuditAction::SubscriptionRotateSecret,
        AuditAction::SubscriptionReplay,
        AuditAction::SubscriptionRemove,
    ] {
        assert_eq!(audited(&site, action).await, 1, "{}", action.as_str());
    }
}

#[tokio::test]
async fn subscription_form_says_what_is_wrong() {
    let site = site::local().await;
    let admin = site.admin().await;
    let invalid = admin
        .post("/console/subscriptions/new", &[("url", "nowhere")])
        .await;
    assert_eq!(invalid.status, 400);
    assert!(invalid.text.contains("href=\"#url\""));
    let private = [("url", "http://127.0.0.1/hook")];
    let private = admin.post("/console/subscriptions/new", &private).await;
    assert_eq!(private.status, 400);
    assert!(private.text.contains("RECEIPTD_PUSH_PRIVATE_TARGETS"));
}

#[tokio::test]
async fn full_numbers_require_the_right_to_reveal() {
    let site = site::local().await;
    let token = site
        .token("masked", Role::Operator, Rights::default())
        .await;
    let operator = site.signed_in(&token).await;
    let fields = [&SUBSCRIPTION[..], &[("reveal", "1")]].concat();
    let refused = operator.post("/console/subscriptions/new", &fields).await;
    assert_eq!(refused.status, 403);

    let admin = site.admin().await;
    admin.post("/console/subscriptions/new", &fields).await;
    let edit = format!("{}/edit", subscription(&admin).await);
    let own = ("url", "https://own.example.com/");
    let revealing = ("reveal", "1");
    for (browser, fields, status) in [
        (&operator, &[own, revealing][..], 403),
        (&operator, &[("description", "Renamed"), revealing], 303),
        (&admin, &[own, revealing], 303),
        (&operator, &[("description", "Renamed")], 303),
        (&operator, &[own], 303),
        (&operator, &[revealing], 403),
        (&admin, &[revealing], 303),
    ] {
        let answer = browser.post(&edit, fields).await;
        assert_eq!(answer.status, status, "{fields:?}");
    }
    let page = admin.get("/console/audit").await.page();
    for changed in ["types, description", "url, description", ">reveal<"] {
        assert!(page.contains(changed), "{changed} in {page}");
    }
}
