//! Messages without a final status are looked up.

use std::time::Duration;

use domain::DeliveryStatus;
use ports::ReportStore as _;
use testkit::builders::{key, report, twilio_sid};
use testkit::fake_twilio::{Failure, FakeMessage};
use usecases::reconciliation::{ReconcileError, ReconcileScope, Reconciled};

use super::Setup;

#[tokio::test]
async fn only_messages_that_are_old_enough_and_not_too_old_are_checked() {
    let setup = Setup::new().await;
    setup.sent(1..=1, 14).await;
    setup.sent(2..=2, 16).await;
    setup.sent(3..=3, 73 * 60).await;
    for number in 1..=3 {
        setup
            .twilio
            .put(FakeMessage::new(&twilio_sid(number), "delivered"));
    }
    let expected = Reconciled {
        checked: 1,
        recovered: 1,
        ..Reconciled::default()
    };
    assert_eq!(setup.run().await.expect("records"), expected);
    assert_eq!(setup.status(2).await, Some(DeliveryStatus::Delivered));
    assert_eq!(setup.status(1).await, Some(DeliveryStatus::Sent));
    let through = setup.now().plus_micros(-15 * 60_000_000);
    assert_eq!(setup.figures().await.checked_through, Some(through));
    assert_eq!(setup.run().await.expect("records"), Reconciled::default());
}

#[tokio::test]
async fn many_messages_are_searched_in_the_list() {
    let setup = Setup::new().await;
    setup.twilio.set_page_size(50);
    setup.sent(1..=120, 30).await;
    for number in 1..=120 {
        setup
            .twilio
            .put(FakeMessage::new(&twilio_sid(number), "read"));
    }
    let done = setup.run().await.expect("records");
    assert_eq!((done.checked, done.recovered), (120, 120));
    assert_eq!(setup.twilio.requests().len(), 3);
}

#[tokio::test]
async fn messages_that_are_not_in_the_list_are_looked_up() {
    let setup = Setup::new().await;
    setup.sent(1..=30, 30).await;
    for number in 1..=30 {
        let mut message = FakeMessage::new(&twilio_sid(number), "failed");
        // A message that was never sent has no day.
        if number <= 2 {
            message.day = String::new();
        }
        setup.twilio.put(message);
    }
    setup.twilio.delete(&twilio_sid(30));
    let done = setup.run().await.expect("records");
    assert_eq!((done.recovered, done.unknown), (29, 1));
    assert_eq!(setup.twilio.requests().len(), 1 + 3);
}

#[tokio::test]
async fn clock_of_twilio_does_not_matter() {
    let setup = Setup::new().await;
    setup.sent(1..=2, 30).await;
    for (number, updated) in [
        (1, "Fri, 01 Jan 1999 00:00:00 +0000"),
        (2, "Sat, 01 Jan 2050 00:00:00 +0000"),
    ] {
        let mut message = FakeMessage::new(&twilio_sid(number), "delivered");
        message.updated = updated.to_owned();
        setup.twilio.put(message);
    }
    assert_eq!(setup.run().await.expect("records").recovered, 2);
    for number in 1..=2 {
        let found = setup.store.message(&key(&twilio_sid(number))).await;
        let found = found.expect("the store is there").expect("a message");
        let report = &found.reports[1].report;
        assert_eq!(report.arrived_at, setup.now());
        let year = if number == 1 { "1999" } else { "2050" };
        let happened = report.happened_at.expect("a time").to_string();
        assert!(happened.starts_with(year), "{happened}");
    }
}

#[tokio::test]
async fn outage_stops_the_run_and_a_later_one_continues() {
    let setup = Setup::new().await;
    setup.sent(1..=1, 120).await;
    setup.sent(2..=2, 30).await;
    for number in 1..=2 {
        setup
            .twilio
            .put(FakeMessage::new(&twilio_sid(number), "delivered"));
    }
    setup.twilio.fail_always(Some(Failure::Status(503)));
    let failed = setup.run().await;
    assert!(
        matches!(failed, Err(ReconcileError::Records(_))),
        "{failed:?}"
    );
    let figures = setup.figures().await;
    let error = figures.last_error.expect("an error");
    assert!(error.contains("503"), "{error}");
    assert_eq!(figures.recovered, 0);
    setup.twilio.fail_always(None);
    assert_eq!(setup.run().await.expect("records").recovered, 2);
    let figures = setup.figures().await;
    assert_eq!((figures.last_error, figures.recovered), (None, 2));
}

#[tokio::test]
async fn locked_message_is_left_for_the_next_run() {
    let setup = Setup::new().await;
    setup.sent(1..=2, 30).await;
    for number in 1..=2 {
        setup
            .twilio
            .put(FakeMessage::new(&twilio_sid(number), "delivered"));
    }
    setup.store.set_locked(&twilio_sid(1), true);
    let done = setup.run().await.expect("records");
    assert_eq!((done.recovered, done.left), (1, 1));
    setup.store.set_locked(&twilio_sid(1), false);
    let done = setup.run().await.expect("records");
    assert_eq!((done.recovered, done.left), (1, 0));
}

#[tokio::test]
async fn message_that_erasure_emptied_stays_erased() {
    let setup = Setup::new().await;
    let at = setup.now().plus_micros(-30 * 60_000_000).unix_micros();
    let erased = report(&twilio_sid(1))
        .status("sent")
        .at(at)
        .build()
        .erased();
    setup
        .store
        .record(&[erased])
        .await
        .expect("the store is there");
    setup
        .twilio
        .put(FakeMessage::new(&twilio_sid(1), "delivered"));
    assert_eq!(setup.run().await.expect("records").recovered, 1);
    let found = setup.store.message(&key(&twilio_sid(1))).await;
    let found = found.expect("the store is there").expect("a message");
    assert!(found.message.is_erased());
    assert!(
        found
            .reports
            .iter()
            .all(|each| each.report.recipient.is_erased())
    );
}

#[tokio::test]
async fn message_is_looked_up_again_at_growing_ages_until_it_is_final() {
    let setup = Setup::new().await;
    setup.sent(1..=1, 16).await;
    setup.put(1, "sent");
    let mut lookups = Vec::new();
    for age in (16..400).step_by(5) {
        if age > 240 {
            setup.put(1, "delivered");
        }
        let done = setup.run().await.expect("records");
        if done.checked > 0 {
            lookups.push((age, done.recovered));
        }
        setup.clock.advance(Duration::from_mins(5));
    }
    assert_eq!(
        lookups,
        [(16, 0), (31, 0), (61, 0), (121, 0), (241, 1)],
        "final from the age of 240 minutes"
    );
    assert_eq!(setup.status(1).await, Some(DeliveryStatus::Delivered));
}

#[tokio::test]
async fn interrupted_run_is_continued_by_the_next_one() {
    let mut setup = Setup::new().await;
    setup.sent(1..=1, 70 * 60).await;
    setup.sent(2..=2, 30).await;
    for number in 1..=2 {
        setup.put(number, "delivered");
    }
    setup.request_interval = Duration::from_mins(1);
    let recovered = async {
        while setup.figures().await.recovered == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        done = setup.run() => panic!("it waits for a minute: {done:?}"),
        () = recovered => {}
    }
    assert_eq!(setup.status(2).await, Some(DeliveryStatus::Sent));
    setup.request_interval = Duration::from_millis(1);
    let done = setup.run().await.expect("records");
    assert_eq!((done.checked, done.recovered), (1, 1));
    assert_eq!(setup.figures().await.recovered, 2);
}

#[tokio::test]
async fn error_of_a_revoked_key_is_shown_until_the_key_works() {
    let setup = Setup::new().await;
    setup.sent(1..=1, 16).await;
    setup.twilio.set_key_revoked(true);
    assert!(setup.run().await.is_err());
    let error = setup.figures().await.last_error.expect("an error");
    assert!(error.contains("refuses the API key"), "{error}");
    // No request is made without a message that is due.
    setup.report(1, "read").await;
    setup.run().await.expect("no records are needed");
    assert_eq!(setup.figures().await.last_error, Some(error));
    setup.twilio.set_key_revoked(false);
    setup.clock.advance(Duration::from_mins(5));
    setup.sent(2..=2, 16).await;
    setup.run().await.expect("records");
    assert_eq!(setup.figures().await.last_error, None);
}

#[tokio::test]
async fn hostile_answer_is_an_error_that_shows_nothing_of_it() {
    let setup = Setup::new().await;
    setup.sent(1..=1, 30).await;
    for body in [
        "\"private words\"",
        "{\"sid\": \"private\\u0000words\"}",
        "\u{feff}{}",
        &"[".repeat(100_000),
        &FakeMessage::new(&twilio_sid(2), "read")
            .to_json()
            .to_string(),
    ] {
        setup.twilio.set_body(Some(body));
        let hour_ago = setup.now().plus_micros(-3_600_000_000);
        let failed = setup.run_scope(ReconcileScope::Since(hour_ago)).await;
        assert!(matches!(failed, Err(ReconcileError::Records(_))), "{body}");
        let error = setup.figures().await.last_error.expect("an error");
        assert!(!error.contains("private"), "{error}");
        assert!(error.len() < 300, "{error}");
    }
    assert_eq!(setup.status(1).await, Some(DeliveryStatus::Sent));
}

#[tokio::test]
async fn record_that_cannot_be_read_costs_no_other_message() {
    let setup = Setup::new().await;
    setup.sent(1..=1, 60).await;
    setup.sent(2..=2, 30).await;
    let mut odd = FakeMessage::new(&twilio_sid(1), "delivered");
    odd.to = String::new();
    setup.twilio.put(odd);
    setup.put(2, "delivered");
    let failed = setup.run().await;
    assert!(
        matches!(failed, Err(ReconcileError::Records(_))),
        "{failed:?}"
    );
    assert_eq!(setup.status(2).await, Some(DeliveryStatus::Delivered));
    let error = setup.figures().await.last_error.expect("an error");
    assert!(
        error.contains("record of a message cannot be read"),
        "{error}"
    );
    // It is not due again at once.
    assert_eq!(setup.run().await.expect("no request").checked, 0);
    setup.put(1, "delivered");
    setup.clock.advance(Duration::from_mins(75));
    assert_eq!(setup.run().await.expect("records").recovered, 1);
    assert_eq!(setup.figures().await.last_error, None);
}

#[tokio::test]
async fn many_records_that_cannot_be_read_stop_the_run() {
    let setup = Setup::new().await;
    setup.sent(1..=15, 30).await;
    setup.twilio.set_body(Some("{}"));
    assert!(setup.run().await.is_err());
    assert_eq!(setup.twilio.requests().len(), 11);
    for number in 1..=15 {
        setup.put(number, "delivered");
    }
    setup.twilio.set_body(None);
    // All are still due.
    assert_eq!(setup.run().await.expect("records").recovered, 15);
}

#[tokio::test]
async fn clock_that_was_set_back_does_not_stop_lookups() {
    let setup = Setup::new().await;
    setup.clock.advance(Duration::from_hours(24 * 365));
    setup.run().await.expect("records");
    setup.clock.turn_back(Duration::from_hours(24 * 365));
    setup.sent(1..=1, 30).await;
    setup.put(1, "delivered");
    assert_eq!(setup.run().await.expect("records").recovered, 1);
    assert_eq!(setup.run().await.expect("records").checked, 0);
}
