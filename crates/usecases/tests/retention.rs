//! Retention, also while some data cannot be removed.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use domain::statistics::{Counts, Interval, StatusLabel};
use domain::{DeliveryState, LogPosition};
use ports::maintenance::{RetentionKind, RetentionRun};
use ports::metrics::NoMetrics;
use ports::statistics::StatisticsRange;
use ports::subscriptions::Progress;
use ports::{
    DeliveryQueue, DeliveryStore as _, Environment as _, Maintenance as _, ReportStore,
    Statistics as _, SubscriptionStore as _,
};
use testkit::builders::{delivery, keep_days, key, report, subscription, subscription_id, time};
use testkit::clock::FixedClock;
use testkit::memory::MemoryStore;
use usecases::forwarding::ForwardingExpiry;
use usecases::retention::prune::KeepFor;
use usecases::{Prune, RetentionHolds};

const DAY: Duration = Duration::from_hours(24);

#[tokio::test]
async fn expired_statistics_are_removed() {
    const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;
    let service = Service::with_a_report().await;
    let now = service.clock.now();
    let intervals = [
        (Interval::QuarterHour, 91),
        (Interval::QuarterHour, 89),
        (Interval::Day, 91),
        (Interval::Day, 0),
    ];
    let counted = intervals.map(|(interval, days)| {
        let start = now.plus_micros(-days * DAY_MICROS);
        let mut counts = Counts::default();
        counts.reports.insert(StatusLabel::Unknown, 1);
        ((interval, start, key("SM1").channel), counts)
    });
    let added = service.store.add_statistics(&counted.into()).await;
    added.unwrap();
    service.run().await;
    for (interval, remaining) in [(Interval::QuarterHour, 89), (Interval::Day, 0)] {
        let range = StatisticsRange {
            interval,
            from: now.plus_micros(-200 * DAY_MICROS),
            until: now.plus_micros(DAY_MICROS),
            channel: None,
        };
        let rows = service.store.read_statistics(&range).await.unwrap();
        let starts: Vec<_> = rows.iter().map(|row| row.start).collect();
        assert_eq!(starts, [now.plus_micros(-remaining * DAY_MICROS)]);
    }
}

/// Retention of one day for all kinds.
struct Service {
    store: MemoryStore,
    clock: Arc<FixedClock>,
    holds: Arc<RetentionHolds>,
    prune: Prune,
}

impl Service {
    fn over(store: MemoryStore, clock: FixedClock) -> Self {
        let (clock, holds) = (Arc::new(clock), Arc::<RetentionHolds>::default());
        let keep_for = KeepFor {
            reports: DAY,
            messages: keep_days(1),
            deliveries: DAY,
            audit: DAY,
        };
        let prune = Prune::new(
            Arc::new(store.clone()),
            Arc::new(store.clone()),
            ForwardingExpiry::new(Arc::new(store.clone()), Arc::new(NoMetrics)),
            clock.clone(),
            keep_for,
            Arc::clone(&holds),
        );
        Self {
            store,
            clock,
            holds,
            prune,
        }
    }

    /// Creates a report that has just arrived, and a run that just finished.
    async fn with_a_report() -> Self {
        let (store, clock) = (MemoryStore::new(), FixedClock::default());
        let now = clock.now().unix_micros();
        let recorded = ReportStore::record(&store, &[report("SM1").at(now).build()]).await;
        recorded.unwrap();
        let service = Self::over(store, clock);
        service.run().await;
        service
    }

    /// Restarts the process on the same store.
    fn restart(self) -> Self {
        let clock = FixedClock::at(self.clock.now());
        Self::over(self.store.clone(), clock)
    }

    async fn note_runs(&self, held_back: bool) {
        let at = self.clock.now();
        for kind in RetentionKind::ALL {
            let run = RetentionRun { at, held_back };
            self.store.note_retention_run(kind, run).await.unwrap();
        }
    }

    /// Runs all steps; returns the remaining reports and the number of holds.
    async fn run(&self) -> (usize, usize) {
        for kind in RetentionKind::ALL {
            while !self.prune.run(kind).await.unwrap().done {}
        }
        (self.store.logged_reports(), self.holds.all().len())
    }
}

#[tokio::test]
async fn reports_are_removed_while_the_clock_is_right() {
    let service = Service::with_a_report().await;
    for _ in 0..24 {
        service.clock.advance(DAY / 24);
        assert_eq!(service.run().await, (1, 0));
    }
    service.clock.advance(DAY / 24);
    assert_eq!(service.run().await, (0, 0));
}

#[tokio::test]
async fn clock_in_the_future_at_start_stops_retention_until_released() {
    let service = Service::with_a_report().await;
    service.clock.advance(DAY * 91);
    let service = service.restart();
    // No delivery and no audit entry has expired.
    assert_eq!(service.run().await, (1, 2));
    let service = service.restart();
    assert_eq!(service.run().await, (1, 2));
    service.prune.release().await.unwrap();
    assert_eq!(service.run().await, (0, 0));
}

#[tokio::test]
async fn clock_in_the_past_at_start_stops_retention() {
    let service = Service::with_a_report().await;
    service.clock.turn_back(DAY * 300);
    let service = service.restart();
    assert_eq!(service.run().await, (1, RetentionKind::ALL.len()));
    service.clock.advance(DAY * 300);
    assert_eq!(service.run().await, (1, 0));
}

#[tokio::test]
async fn clock_jump_stops_retention_until_corrected_or_released() {
    let service = Service::with_a_report().await;
    service.clock.advance(DAY * 3);
    assert_eq!(service.run().await, (1, 2));
    service.clock.turn_back(DAY * 3);
    // The runs of deliveries, of the audit log and of requests to forward, of which nothing had
    // expired, were stored with the wrong clock.
    assert_eq!(service.run().await, (1, 3));
    service.clock.advance(DAY * 3);
    assert_eq!(service.run().await, (1, 2));
    // A restart does not end the hold.
    let service = service.restart();
    assert_eq!(service.run().await, (1, 2));
    service.prune.release().await.unwrap();
    assert_eq!(service.run().await, (0, 0));
}

#[tokio::test]
async fn retention_continues_after_days_of_downtime() {
    let service = Service::with_a_report().await;
    service.clock.advance(DAY * 6);
    assert_eq!(service.restart().run().await, (0, 0));
}

#[tokio::test]
async fn report_of_a_future_time_stops_retention_until_released() {
    let service = Service::with_a_report().await;
    let future = service.clock.now().plus_micros(1_000 * 86_400_000_000);
    let wrong = report("SM2").at(future.unix_micros()).build();
    ReportStore::record(&service.store, &[wrong]).await.unwrap();
    for _ in 0..48 {
        service.clock.advance(DAY / 24);
        service.run().await;
    }
    assert_eq!(service.run().await, (1, 1));
    service.prune.release().await.unwrap();
    assert_eq!(service.run().await, (0, 0));
}

#[tokio::test]
async fn hold_on_reports_does_not_stop_other_kinds() {
    let store = MemoryStore::new();
    let recorded = ReportStore::record(&store, &[report("SM1").at(0).build()]).await;
    recorded.unwrap();
    // Its report is already removed.
    let gone = store.prune_reports(time(1), NonZeroU32::MIN).await;
    assert_eq!(gone.unwrap().rows, 1);
    store
        .add(&subscription(1), LogPosition::START)
        .await
        .unwrap();
    let leased = store.claim("worker", DAY).await.unwrap().unwrap();
    let mut delivered = delivery(subscription_id(1), 1, DeliveryState::Delivered);
    delivered.finished_at = Some(time(0));
    let progress = Progress {
        position: LogPosition(1),
        failing_since: None,
        deliveries: std::slice::from_ref(&delivered),
    };
    assert!(
        DeliveryQueue::record(&store, &leased.lease, progress)
            .await
            .unwrap()
    );

    let clock = FixedClock::default();
    clock.advance(DAY * 10);
    store.set_log_locked(true);
    let service = Service::over(store.clone(), clock);
    service.note_runs(false).await;
    let mut done = Vec::new();
    for kind in RetentionKind::ALL {
        done.extend(service.prune.run(kind).await.is_ok().then_some(kind));
    }
    let others = [
        RetentionKind::Messages,
        RetentionKind::Deliveries,
        RetentionKind::Audit,
        RetentionKind::ForwardedRequests,
    ];
    assert_eq!(done, others);
    assert!(store.message(&key("SM1")).await.unwrap().is_none());
    assert!(store.delivery(delivered.key).await.unwrap().is_none());
}
