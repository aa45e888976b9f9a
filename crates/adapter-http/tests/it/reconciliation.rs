//! The account of a channel for reconciliation.

use domain::ErrorCode;
use domain::reconciliation::{
    CallbackAlert, ReconciliationAccount, ReconciliationProgress, ReconciliationStep,
};
use ports::ReconciliationStore as _;
use serde_json::{Value, json};
use testkit::builders::{channel_id, key, server_secret, time, twilio_sid};

use crate::fixture::on_memory;

const PATH: &str = "/api/v1/channels/1/reconciliation";

const ACCOUNT: &str = "AC00000000000000000000000000000001";

const KEY: &str = "SK00000000000000000000000000000001";

const SECRET: &str = "secret-of-the-key";

fn account() -> Value {
    json!({"account_sid": ACCOUNT, "api_key_sid": KEY, "api_key_secret": SECRET})
}

#[tokio::test]
async fn account_is_stored_sealed_and_shown_with_its_figures() {
    let (running, store) = on_memory().await;
    running.add_channel("1", json!({})).await;
    running.get(PATH).await.assert("404 no_account");
    let put = "PUT /channels/1/reconciliation";
    let answer = running.api(put, account()).await;
    answer.assert("200");
    assert!(!answer.text().contains(SECRET));
    let progress = ReconciliationProgress {
        at: time(1_795_370_777_000_000),
        step: ReconciliationStep::Run,
        checked: 7,
        recovered: 2,
        checked_through: Some(time(1_795_370_000_000_000)),
        listed: Some(8),
        answered: true,
        error: Some("Twilio refuses the API key".to_owned()),
    };
    let id = channel_id("1");
    let added = store.add_reconciliation_progress(&id, &progress).await;
    assert!(added.unwrap());
    let alert = CallbackAlert {
        channel: id.clone(),
        sid: key(&twilio_sid(1)).sid,
        code: ErrorCode::parse("11200").unwrap(),
        alerted_at: time(1_795_370_700_000_000),
    };
    store.add_callback_alerts(&[alert]).await.unwrap();
    let mut shown = running.shown(PATH).await;
    let changed_at = shown["changed_at"].take();
    assert!(changed_at.is_string());
    let expected = json!({
        "channel_id": "1", "account_sid": ACCOUNT, "api_key_sid": KEY, "changed_at": null,
        "checked": 7, "recovered": 2, "last_run_at": progress.at.to_string(),
        "last_error": "Twilio refuses the API key",
        "checked_through": progress.checked_through.map(|at| at.to_string()),
        "listed_at": progress.at.to_string(), "listed": 8, "lost": 2, "lost_share": 0.25,
        "failing_since": progress.at.to_string(), "alerted": 1,
        "last_alert_at": "2026-11-22T18:05:00.000000Z",
    });
    assert_eq!(shown, expected);
    let stored = store.reconciliation(&id).await.unwrap().unwrap();
    let context = ReconciliationAccount::secret_context(&id);
    let opened = server_secret().open(&stored.account.secret, &context);
    assert_eq!(opened.unwrap().as_str(), SECRET);

    let audit = running.shown("/api/v1/audit?action=channel.change").await;
    assert_eq!(audit["items"][0]["object"], "1");
    let remove = "DELETE /channels/1/reconciliation";
    running.api(remove, Value::Null).await.assert("204");
    running
        .api(remove, Value::Null)
        .await
        .assert("404 no_account");
}

#[tokio::test]
async fn invalid_accounts_are_refused() {
    let (running, _) = on_memory().await;
    running.add_channel("1", json!({})).await;
    let put = "PUT /channels/1/reconciliation";
    for field in ["account_sid", "api_key_sid", "api_key_secret"] {
        let mut invalid = account();
        invalid[field] = json!("x");
        let answer = running.api(put, invalid).await;
        answer.assert("400 invalid_value");
        assert_eq!(answer.json()["field"], field);
    }
    let elsewhere = "PUT /channels/2/reconciliation";
    running
        .api(elsewhere, account())
        .await
        .assert("404 no_such_channel");
    running
        .add_channel("3", json!({"integrator": "infobip"}))
        .await;
    let of_infobip = "PUT /channels/3/reconciliation";
    running
        .api(of_infobip, account())
        .await
        .assert("422 no_records");
}
