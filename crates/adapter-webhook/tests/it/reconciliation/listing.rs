//! The whole list of a channel's messages is compared.

use domain::DeliveryStatus;
use ports::ReportStore as _;
use testkit::builders::{CHANNEL, channel, key, twilio_sid};
use testkit::fake_twilio::{ACCOUNT, FakeMessage};
use usecases::reconciliation::{ReconcileError, ReconcileScope};

use super::Setup;

#[tokio::test]
async fn listed_messages_that_are_not_known_are_recorded() {
    let setup = Setup::new().await;
    setup.sent(1..=1, 30).await;
    setup.twilio.set_page_size(2);
    for (number, status) in [
        (1, "delivered"),
        (2, "read"),
        (3, "received"),
        (4, "failed"),
    ] {
        let mut message = FakeMessage::new(&twilio_sid(number), status);
        message.updated = "Sun, 22 Nov 2026 12:00:00 +0000".to_owned();
        setup.twilio.put(message);
    }
    // A report of it may be on its way.
    let mut fresh = FakeMessage::new(&twilio_sid(5), "sent");
    fresh.updated = "Sun, 22 Nov 2026 18:06:16 +0000".to_owned();
    setup.twilio.put(fresh);
    let mut elsewhere = FakeMessage::new(&twilio_sid(6), "sent");
    elsewhere.from = "whatsapp:+15550100000".to_owned();
    setup.twilio.put(elsewhere);
    let done = setup
        .run_scope(ReconcileScope::Listed)
        .await
        .expect("records");
    assert_eq!((done.checked, done.recovered), (4, 3));
    assert_eq!(setup.status(2).await, Some(DeliveryStatus::Read));
    assert_eq!(setup.status(4).await, Some(DeliveryStatus::Failed));
    for number in [3, 5, 6] {
        let found = setup.store.message(&key(&twilio_sid(number))).await;
        assert_eq!(found.expect("the store is there"), None);
    }
    let figures = setup.figures().await;
    assert_eq!((figures.listed, figures.lost), (4, 3));
    assert_eq!(figures.lost_share(), Some(0.75));
    let again = setup
        .run_scope(ReconcileScope::Listed)
        .await
        .expect("records");
    assert_eq!((again.checked, again.recovered), (4, 0));
    // They have not changed since the first list.
    let figures = setup.figures().await;
    assert_eq!((figures.listed, figures.lost), (0, 0));
}

#[tokio::test]
async fn list_that_does_not_end_is_an_error_and_what_it_had_is_recorded() {
    let setup = Setup::new().await;
    setup.put(1, "delivered");
    let page = |number| format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json?Page={number}");
    setup.twilio.set_next_page(Some(&page(1)));
    let failed = setup.run_scope(ReconcileScope::Listed).await;
    assert!(
        matches!(failed, Err(ReconcileError::Records(_))),
        "{failed:?}"
    );
    assert_eq!(setup.twilio.requests().len(), 2);
    let figures = setup.figures().await;
    let error = figures.last_error.expect("an error");
    assert!(error.contains("leads back to one of its pages"), "{error}");
    assert_eq!((figures.recovered, figures.listed_at), (1, None));
}

#[tokio::test]
async fn page_at_another_host_is_not_requested() {
    let setup = Setup::new().await;
    for place in [
        "http://192.0.2.1/2010-04-01/Accounts/AC00000000000000000000000000000001/Messages.json",
        "//192.0.2.1/",
        "/2010-04-01/Accounts/AC00000000000000000000000000000002/Messages.json",
        "/\u{0}",
    ] {
        let before = setup.twilio.requests().len();
        setup.twilio.set_next_page(Some(place));
        let failed = setup.run_scope(ReconcileScope::Listed).await;
        assert!(
            matches!(failed, Err(ReconcileError::Records(_))),
            "{failed:?}"
        );
        assert_eq!(setup.twilio.requests().len(), before + 1, "{place}");
    }
}

#[tokio::test]
async fn expired_messages_are_not_recorded_anew() {
    let short = channel(CHANNEL)
        .senders(&["+15550109999"])
        .keep_messages_days(1);
    let setup = Setup::with(&short.build()).await;
    setup.sent(1..=1, 29 * 60).await;
    for number in 1..=3 {
        let mut message = FakeMessage::new(&twilio_sid(number), "delivered");
        let day = if number == 3 { "22" } else { "21" };
        message.updated =
            format!("Sun, {day} Nov 2026 12:00:00 +0000").replace("Sun, 21", "Sat, 21");
        setup.twilio.put(message);
    }
    let done = setup.run_scope(ReconcileScope::Listed).await;
    let done = done.expect("records");
    assert_eq!((done.checked, done.recovered), (3, 2));
    assert_eq!(setup.status(1).await, Some(DeliveryStatus::Delivered));
    let found = setup.store.message(&key(&twilio_sid(2))).await;
    assert_eq!(found.expect("the store is there"), None);
    assert_eq!(setup.status(3).await, Some(DeliveryStatus::Delivered));
}
