//! Messages of which Twilio says that it could not deliver a report are looked up.

use std::collections::HashSet;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use domain::reconciliation::CallbackAlert;
use domain::{DeliveryStatus, ErrorCode, MessageSid, Timestamp};
use ports::channels::Change;
use ports::{ChannelStore as _, ReconciliationStore as _, ReportStore as _};
use testkit::builders::{CHANNEL, channel, key, report, twilio_sid};
use testkit::fake_twilio::{Failure, FakeMessage};
use usecases::reconciliation::{
    LookUpAlerts, ReconcileError, ReconcileRun, ReconcileScope, Reconciled,
};

use super::{Setup, id};

const INTERVAL: Duration = Duration::from_mins(5);

impl Setup {
    async fn alert(&self, sids: &[&str]) {
        let alerts: Vec<_> = sids.iter().map(|sid| alert(sid, self.now())).collect();
        let added = self.store.add_callback_alerts(&alerts).await;
        added.expect("the store is there");
    }

    async fn alert_numbers(&self, numbers: std::ops::RangeInclusive<u64>) {
        for number in numbers {
            self.alert(&[&twilio_sid(number)]).await;
        }
    }

    /// Returns the ids of the alerts that are due.
    async fn due(&self) -> Vec<String> {
        let due = self.store.due_callback_alerts(&id(), NonZeroU16::MAX).await;
        let due = due.expect("the store is there").into_iter();
        due.map(|alert| alert.sid.to_string()).collect()
    }

    fn look_up(&self, holder: &str) -> Arc<LookUpAlerts> {
        Arc::new(LookUpAlerts::new(
            self.reconcile(),
            Arc::new(self.store.clone()),
            self.clock.clone(),
            holder.to_owned(),
            INTERVAL,
        ))
    }

    /// Ends the first run at the interval, which comes before alerts.
    async fn reconciled(self) -> Self {
        assert_eq!(self.scopes("a").await.len(), 2);
        self
    }

    async fn is_known(&self, sid: &str) -> bool {
        let found = self.store.message(&key(sid)).await;
        found.expect("the store is there").is_some()
    }
}

fn alert(sid: &str, at: Timestamp) -> CallbackAlert {
    CallbackAlert {
        channel: id(),
        sid: MessageSid::parse(sid).expect("a sid"),
        code: ErrorCode::parse("11200").expect("a code"),
        alerted_at: at,
    }
}

/// Returns the results of one step.
async fn step(alerts: &Arc<LookUpAlerts>) -> Vec<Result<Reconciled, ReconcileError>> {
    let runs = alerts.run().await.expect("the store is there").into_iter();
    runs.map(|run| {
        assert_eq!(run.scope, ReconcileScope::Alerts);
        run.outcome.expect("the lease was kept")
    })
    .collect()
}

#[tokio::test]
async fn message_of_an_alert_is_looked_up_and_what_is_missing_recorded() {
    let setup = Setup::new().await.reconciled().await;
    setup.sent(1..=2, 1).await;
    setup.put(1, "delivered");
    setup.put(2, "sent");
    // No report of it arrived.
    setup.put(3, "undelivered");
    let before = setup.figures().await;
    setup.alert_numbers(1..=4).await;
    let alerts = setup.look_up("a/alerts");
    let done = step(&alerts).await;
    let expected = Reconciled {
        checked: 4,
        recovered: 2,
        unknown: 1,
        left: 0,
    };
    assert_eq!(
        done.into_iter().next().expect("a run").expect("records"),
        expected
    );
    assert_eq!(setup.status(1).await, Some(DeliveryStatus::Delivered));
    assert_eq!(setup.status(2).await, Some(DeliveryStatus::Sent));
    assert_eq!(setup.status(3).await, Some(DeliveryStatus::Undelivered));
    assert!(!setup.is_known(&twilio_sid(4)).await);
    assert_eq!(setup.due().await, [""; 0]);
    let figures = setup.figures().await;
    assert_eq!(
        (figures.checked, figures.recovered),
        (before.checked + 4, 2)
    );
    assert_eq!(figures.last_run_at, before.last_run_at);
    // Each was requested once, and not again.
    assert!(step(&alerts).await.is_empty());
    let requests = setup.twilio.requests();
    let lookups = requests.iter().filter(|it| it.contains("/Messages/"));
    assert_eq!(lookups.count(), 4);
    // The callback arrives after all.
    setup.report(1, "delivered").await;
    let found = setup.store.message(&key(&twilio_sid(1))).await;
    let found = found.expect("the store is there").expect("a message");
    assert_eq!((found.reports.len(), found.message.duplicates), (2, 1));
}

#[tokio::test]
async fn unknown_messages_of_others_are_not_recorded() {
    let setup = Setup::new().await.reconciled().await;
    for (number, from) in [
        (1, "whatsapp:+15550100000"),
        (2, "+15550109999"),
        (3, "rcs:+15550109999"),
        (4, ""),
    ] {
        let mut message = FakeMessage::new(&twilio_sid(number), "delivered");
        message.from = from.to_owned();
        setup.twilio.put(message);
    }
    let mut incoming = FakeMessage::new(&twilio_sid(5), "received");
    incoming.direction = "inbound".to_owned();
    setup.twilio.put(incoming);
    setup.alert_numbers(1..=5).await;
    let done = step(&setup.look_up("a/alerts")).await;
    assert_eq!(done[0].as_ref().expect("records").recovered, 0);
    for number in 1..=5 {
        assert!(!setup.is_known(&twilio_sid(number)).await, "{number}");
    }
    assert_eq!(setup.due().await, [""; 0]);
}

#[tokio::test]
async fn channel_without_senders_gets_reports_of_known_messages_only() {
    let setup = Setup::with(&channel(CHANNEL).build()).await;
    let setup = setup.reconciled().await;
    setup.sent(1..=1, 1).await;
    for number in 1..=2 {
        setup.put(number, "delivered");
    }
    setup.alert_numbers(1..=2).await;
    let done = step(&setup.look_up("a/alerts")).await;
    assert_eq!(done[0].as_ref().expect("records").recovered, 1);
    assert!(!setup.is_known(&twilio_sid(2)).await);
}

#[tokio::test]
async fn expired_message_is_not_recorded_anew() {
    let short = channel(CHANNEL).senders(&["+15550109999"]);
    let setup = Setup::with(&short.keep_messages_days(1).build()).await;
    let setup = setup.reconciled().await;
    let mut old = FakeMessage::new(&twilio_sid(1), "delivered");
    old.updated = "Sat, 21 Nov 2026 12:00:00 +0000".to_owned();
    setup.twilio.put(old);
    setup.alert_numbers(1..=1).await;
    assert_eq!(step(&setup.look_up("a/alerts")).await.len(), 1);
    assert!(!setup.is_known(&twilio_sid(1)).await);
    assert_eq!(setup.due().await, [""; 0]);
}

#[tokio::test]
async fn message_that_erasure_emptied_stays_erased() {
    let setup = Setup::new().await.reconciled().await;
    let at = setup.now().plus_micros(-60_000_000).unix_micros();
    let erased = report(&twilio_sid(1))
        .status("sent")
        .at(at)
        .build()
        .erased();
    let recorded = setup.store.record(&[erased]).await;
    recorded.expect("the store is there");
    setup.put(1, "delivered");
    setup.alert_numbers(1..=1).await;
    step(&setup.look_up("a/alerts")).await;
    assert_eq!(setup.status(1).await, Some(DeliveryStatus::Delivered));
    let found = setup.store.message(&key(&twilio_sid(1))).await;
    let found = found.expect("the store is there").expect("a message");
    let mut recipients = found.reports.iter().map(|it| &it.report.recipient);
    assert!(recipients.all(domain::Address::is_erased));
}

#[tokio::test]
async fn alerts_stay_due_while_the_api_fails_and_pauses_grow() {
    let setup = Setup::new().await.reconciled().await;
    setup.sent(1..=1, 1).await;
    setup.put(1, "delivered");
    setup.alert_numbers(1..=1).await;
    setup.twilio.set_key_revoked(true);
    let alerts = setup.look_up("a/alerts");
    let mut attempts = Vec::new();
    for second in 0..60 {
        if let [done] = &step(&alerts).await[..] {
            assert!(done.is_err(), "{done:?}");
            attempts.push(second);
        }
        setup.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(attempts, [0, 5, 15, 35]);
    assert_eq!(setup.due().await, [twilio_sid(1)]);
    let error = setup.figures().await.last_error.expect("an error");
    assert!(error.contains("refuses the API key"), "{error}");
    setup.twilio.set_key_revoked(false);
    setup.clock.advance(Duration::from_secs(20));
    assert!(step(&alerts).await[0].is_ok());
    assert_eq!(setup.status(1).await, Some(DeliveryStatus::Delivered));
    assert_eq!(setup.figures().await.last_error, None);
    // The pause is over.
    setup.alert_numbers(1..=1).await;
    assert_eq!(step(&alerts).await.len(), 1);
}

#[tokio::test]
async fn requests_are_repeated_with_backoff() {
    let setup = Setup::new().await.reconciled().await;
    setup.put(1, "delivered");
    setup.alert_numbers(1..=1).await;
    let failures = [Failure::Throttled, Failure::Status(503), Failure::Cut];
    setup.twilio.fail_next(&failures);
    assert!(step(&setup.look_up("a/alerts")).await[0].is_ok());
    assert_eq!(setup.status(1).await, Some(DeliveryStatus::Delivered));
}

#[tokio::test]
async fn what_was_found_before_a_failure_is_recorded() {
    let setup = Setup::new().await.reconciled().await;
    setup.put(1, "delivered");
    let unreadable = |number| FakeMessage {
        to: String::new(),
        ..FakeMessage::new(&twilio_sid(number), "delivered")
    };
    for number in 2..=14 {
        setup.twilio.put(unreadable(number));
    }
    setup.alert_numbers(1..=14).await;
    let alerts = setup.look_up("a/alerts");
    assert!(step(&alerts).await[0].is_err());
    assert_eq!(setup.status(1).await, Some(DeliveryStatus::Delivered));
    // Ten that cannot be read are passed over, the eleventh stops the run.
    assert_eq!(setup.due().await, [12, 13, 14].map(twilio_sid));
    for number in 12..=14 {
        setup.put(number, "read");
    }
    setup.clock.advance(Duration::from_secs(5));
    assert!(step(&alerts).await[0].is_ok());
    assert_eq!(setup.status(14).await, Some(DeliveryStatus::Read));
}

#[tokio::test]
async fn alert_of_a_locked_message_stays_due() {
    let setup = Setup::new().await.reconciled().await;
    setup.sent(1..=1, 1).await;
    setup.put(1, "delivered");
    setup.alert_numbers(1..=1).await;
    setup.store.set_locked(&twilio_sid(1), true);
    let alerts = setup.look_up("a/alerts");
    assert_eq!(step(&alerts).await[0].as_ref().expect("records").left, 1);
    assert_eq!(setup.due().await, [twilio_sid(1)]);
    assert!(step(&alerts).await.is_empty(), "it waits");
    setup.store.set_locked(&twilio_sid(1), false);
    setup.clock.advance(Duration::from_secs(5));
    step(&alerts).await;
    assert_eq!(setup.status(1).await, Some(DeliveryStatus::Delivered));
    assert_eq!(setup.due().await, [""; 0]);
}

#[tokio::test]
async fn run_at_the_interval_comes_first_if_it_waited_for_a_minute() {
    let setup = Setup::new().await;
    setup.alert_numbers(1..=1).await;
    let alerts = setup.look_up("a/alerts");
    assert!(step(&alerts).await.is_empty(), "the first run comes first");
    setup.scopes("a").await;
    assert_eq!(step(&alerts).await.len(), 1);
    setup.alert_numbers(1..=1).await;
    setup.clock.advance(INTERVAL + Duration::from_secs(59));
    assert_eq!(step(&alerts).await.len(), 1);
    setup.alert_numbers(1..=1).await;
    setup.clock.advance(Duration::from_secs(1));
    assert!(step(&alerts).await.is_empty());
    setup.scopes("b").await;
    assert_eq!(step(&alerts).await.len(), 1);
}

#[tokio::test]
async fn disabled_channel_keeps_its_alerts() {
    let setup = Setup::new().await.reconciled().await;
    setup.alert_numbers(1..=1).await;
    let mut disabled = channel(CHANNEL).build();
    disabled.enabled = false;
    disabled.version += 1;
    let updated = setup.store.update(&disabled).await;
    assert_eq!(updated.expect("the store is there"), Change::Done);
    assert!(step(&setup.look_up("a/alerts")).await.is_empty());
    assert_eq!(setup.due().await, [twilio_sid(1)]);
}

#[tokio::test]
async fn hostile_ids_lead_to_no_other_resource() {
    let setup = Setup::new().await.reconciled().await;
    let before = setup.twilio.requests().len();
    let long = "x".repeat(200);
    let sids = ["../../x", "a/b?c=d#e", "%2e%2e%2f", "..", "\\..\\", &long];
    setup.alert(&sids).await;
    setup.alert(&["receiptd-test-1"]).await;
    let done = step(&setup.look_up("a/alerts")).await;
    assert_eq!(done[0].as_ref().expect("records").unknown, 6);
    assert_eq!(setup.due().await, [""; 0]);
    let requests = &setup.twilio.requests()[before..];
    assert_eq!(requests.len(), 6, "none for the test message");
    for request in requests {
        let (path, name) = request.rsplit_once('/').expect("a path");
        assert!(path.ends_with("/Messages"), "{request}");
        let sid = name.strip_suffix(".json");
        assert!(sid.is_some_and(|sid| !sid.contains('?')), "{request}");
    }
}

#[tokio::test]
async fn many_alerts_are_looked_up_in_bounded_runs() {
    let setup = Setup::new().await.reconciled().await;
    setup.alert_numbers(1..=230).await;
    let alerts = setup.look_up("a/alerts");
    for checked in [200, 30] {
        let done = step(&alerts).await;
        assert_eq!(done[0].as_ref().expect("records").checked, checked);
    }
    assert!(step(&alerts).await.is_empty());
}

#[tokio::test]
async fn several_processes_look_up_each_message_once() {
    let setup = Setup::new().await.reconciled().await;
    for number in 1..=60 {
        setup.put(number, "delivered");
    }
    let before = setup.twilio.requests().len();
    setup.alert_numbers(1..=60).await;
    let [a, b, c] = ["a", "b", "c"].map(|name| setup.look_up(&format!("{name}/alerts")));
    while !setup.due().await.is_empty() {
        let (a, b, c) = tokio::join!(step(&a), step(&b), step(&c));
        assert!(a.iter().chain(&b).chain(&c).all(Result::is_ok));
    }
    let requests = &setup.twilio.requests()[before..];
    let unique: HashSet<_> = requests.iter().collect();
    assert_eq!((requests.len(), unique.len()), (60, 60));
    assert_eq!(setup.figures().await.recovered, 60);
}

#[tokio::test]
async fn dry_run_changes_nothing() {
    let setup = Setup::new().await.reconciled().await;
    setup.put(1, "delivered");
    setup.alert_numbers(1..=1).await;
    let run = ReconcileRun {
        channel: id(),
        scope: ReconcileScope::Alerts,
        dry_run: true,
    };
    let done = setup.reconcile().run(&run, |_, _| {}).await;
    assert_eq!(done.expect("records").recovered, 1);
    assert!(!setup.is_known(&twilio_sid(1)).await);
    assert_eq!(setup.due().await, [twilio_sid(1)]);
}
