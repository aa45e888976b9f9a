//! The account of a channel for reconciliation.

use domain::ErrorCode;
use domain::reconciliation::CallbackAlert;
use ports::{Environment as _, ReconciliationStore as _};
use testkit::builders::{channel, channel_id, key, twilio_sid};

use crate::site;

const PATH: &str = "/console/channels/1/reconciliation";

const ACCOUNT: [(&str, &str); 3] = [
    ("account_sid", "AC00000000000000000000000000000001"),
    ("api_key_sid", "SK00000000000000000000000000000001"),
    ("api_key_secret", "secret-of-the-key"),
];

#[tokio::test]
async fn account_is_stored_shown_and_removed() {
    let site = site::local().await;
    site.add_channel(&channel("1").build()).await;
    let admin = site.admin().await;
    let page = admin.get("/console/channels/1").await.page();
    assert!(page.contains(&format!("href=\"{PATH}\">Set up")), "{page}");
    let answer = admin.post(PATH, &ACCOUNT).await;
    assert_eq!(
        answer.location(),
        "/console/channels/1?done=account-changed"
    );
    let page = admin
        .get("/console/channels/1?done=account-changed")
        .await
        .page();
    assert!(
        page.contains("The account for reconciliation was changed."),
        "{page}"
    );
    assert!(
        page.contains(ACCOUNT[0].1) && page.contains("never"),
        "{page}"
    );
    let form = admin.get(PATH).await.page();
    assert!(form.contains(ACCOUNT[1].1), "{form}");
    assert!(!form.contains(ACCOUNT[2].1), "{form}");
    admin.post(&format!("{PATH}/remove"), &[]).await;
    let page = admin.get("/console/channels/1").await.page();
    assert!(!page.contains(ACCOUNT[0].1), "{page}");
}

#[tokio::test]
async fn invalid_account_comes_back_without_its_secret() {
    let site = site::local().await;
    site.add_channel(&channel("1").build()).await;
    let admin = site.admin().await;
    let fields = [ACCOUNT[0], ("api_key_sid", "AC1"), ACCOUNT[2]];
    let answer = admin.post(PATH, &fields).await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.text.contains("href=\"#api_key_sid\""),
        "{}",
        answer.text
    );
    assert!(!answer.text.contains(ACCOUNT[2].1), "{}", answer.text);
}

#[tokio::test]
async fn reports_that_could_not_be_delivered_are_counted() {
    let site = site::local().await;
    site.add_channel(&channel("1").build()).await;
    let admin = site.admin().await;
    let page = admin.get("/console/channels/1").await.page();
    assert!(!page.contains("in the last 7 days"), "{page}");
    let alert = |number| CallbackAlert {
        channel: channel_id("1"),
        sid: key(&twilio_sid(number)).sid,
        code: ErrorCode::parse("11200").unwrap(),
        alerted_at: site.clock.now(),
    };
    let added = site.store.add_callback_alerts(&[alert(1), alert(2)]).await;
    added.unwrap();
    let page = admin.get("/console/channels/1").await.page();
    assert!(
        page.contains("reports of 2 messages could not be delivered"),
        "{page}"
    );
}

#[tokio::test]
async fn other_integrators_have_no_reconciliation() {
    let site = site::local().await;
    site.add_channel(&channel("1").integrator("infobip").build())
        .await;
    let admin = site.admin().await;
    let page = admin.get("/console/channels/1").await.page();
    assert!(!page.contains("Reconciliation"), "{page}");
    assert_eq!(admin.post(PATH, &ACCOUNT).await.status, 409);
}
