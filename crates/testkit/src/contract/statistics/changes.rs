//! What the reader of statistics gets of the log.

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU16, NonZeroU32};

use domain::statistics::{Counts, Histogram, MessageSummary, StatusChange};
use domain::{LogPosition, MessageKey};
use tokio::task::JoinSet;

use super::{Counted, CountedStore};
use crate::builders::{key, report, time, twilio_sid};

async fn record(store: &dyn CountedStore, sid: &str, status: &str, at: i64) {
    let report = report(sid).status(status).at(at).build();
    store
        .record(&[report])
        .await
        .expect("the store is available");
}

/// Reads all changes, `limit` at a time. Waits until there are at least `expected`: a report may
/// be readable a moment after it was recorded.
pub(super) async fn changes(
    store: &dyn CountedStore,
    limit: u16,
    expected: usize,
) -> Vec<StatusChange> {
    let limit = NonZeroU16::new(limit).expect("a limit");
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = store.changes(after, limit).await.expect("it can be read");
        after = Some(page.next);
        all.extend(page.changes);
        if page.complete && all.len() >= expected {
            return all;
        }
        tokio::task::yield_now().await;
    }
}

async fn summary(store: &dyn CountedStore, change: &StatusChange) -> Option<MessageSummary> {
    let found = store.summaries(std::slice::from_ref(change)).await;
    let mut found = found.expect("it can be read").into_iter();
    let summary = found.next().map(|(found, summary)| {
        assert_eq!(found, change.key);
        summary
    });
    assert_eq!(found.next(), None);
    summary
}

pub async fn changes_are_read_once_in_the_order_of_the_log(stores: Counted) {
    for n in 0..7 {
        record(&*stores.one, &twilio_sid(n % 3), "sent", 10).await;
        record(&*stores.one, &twilio_sid(n % 3), "read", 20).await;
    }
    for limit in [1, 2, 5, 100] {
        let all = changes(&*stores.other, limit, 6).await;
        let read: Vec<_> = all
            .iter()
            .map(|change| (change.key.clone(), change.revision, change.status.as_str()))
            .collect();
        let expected = (0..3_u64).flat_map(|n| {
            let key = key(&twilio_sid(n));
            [(key.clone(), 1, "sent"), (key, 2, "read")]
        });
        assert_eq!(read, expected.collect::<Vec<_>>());
        assert!(all.is_sorted_by_key(|change| change.position));
    }
}

pub async fn log_does_not_end_before_a_recorded_report(stores: Counted) {
    let mut all = 0;
    for n in 0..3_u64 {
        record(&*stores.one, &twilio_sid(n), "sent", 10).await;
        all += 1;
        let end = stores.other.log_end().await.expect("it can be read");
        let read = changes(&*stores.one, 100, all).await;
        let last = read.last().map(|change| change.position);
        assert!(last.is_some_and(|last| last <= end), "{last:?}, {end:?}");
    }
}

pub async fn times_of_the_integrator_are_read(stores: Counted) {
    let step = |status: &str, at: i64| report("SM1").status(status).at(at);
    let reports = [
        step("sent", 10_000_000).happened_at(7_000_000).build(),
        step("delivered", 30_000_000).happened_at(9_000_000).build(),
        step("read", 40_000_000).build(),
    ];
    for report in &reports {
        let recorded = stores.one.record(std::slice::from_ref(report)).await;
        recorded.expect("the store is available");
    }
    let all = changes(&*stores.other, 100, 3).await;
    let times = all
        .iter()
        .map(|change| (change.arrived_at, change.happened_at));
    let expected = reports.iter().map(|it| (it.arrived_at, it.happened_at));
    assert!(times.eq(expected), "{all:?}");
    // Two seconds passed between the reports, by the integrator's clock.
    let found = summary(&*stores.other, &all[2]).await.expect("it is known");
    let bucket = Histogram::bucket_of(2_000_000);
    let delivered = found.counts().time_to_delivered;
    assert!(delivered.buckets().eq([(bucket, 1)]), "{delivered:?}");
}

pub async fn duplicates_are_no_changes(stores: Counted) {
    for at in [10, 5, 20] {
        record(&*stores.one, "SM1", "failed", at).await;
    }
    let all = changes(&*stores.one, 100, 1).await;
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].arrived_at, time(10));
}

const DAY: i64 = 24 * 60 * 60 * 1_000_000;

pub(super) async fn prune_before(store: &dyn CountedStore, before: i64) {
    let budget = NonZeroU32::new(100).expect("a budget");
    for _ in 0..100 {
        let pruned = store.prune_reports(time(before), budget).await;
        if pruned.expect("the store is available").done {
            return;
        }
    }
    panic!("pruning does not end");
}

pub async fn changes_after_a_pruned_position_start_at_the_oldest(stores: Counted) {
    record(&*stores.one, "SM1", "sent", 1).await;
    record(&*stores.one, "SM2", "sent", 5 * DAY).await;
    let all = changes(&*stores.one, 100, 2).await;
    prune_before(&*stores.one, 2 * DAY).await;
    let limit = NonZeroU16::new(10).expect("a limit");
    let after = Some(LogPosition(all[0].position.0 - 1));
    let page = stores.other.changes(after, limit).await;
    let page = page.expect("it can be read");
    assert!(page.pruned);
    assert_eq!(page.changes, all[1..]);
    let page = stores.other.changes(None, limit).await;
    let page = page.expect("it can be read");
    assert!(!page.pruned);
    assert_eq!(page.changes, all[1..]);
}

pub async fn summary_has_the_reports_before_a_position(stores: Counted) {
    for (status, at) in [("delivered", 30), ("sent", 20), ("failed", 40)] {
        record(&*stores.one, "SM1", status, at).await;
    }
    let all = changes(&*stores.one, 100, 3).await;
    assert_eq!(summary(&*stores.other, &all[0]).await, None);
    let mut expected = MessageSummary::begin(&all[0]);
    for change in &all[1..] {
        let found = summary(&*stores.other, change).await;
        assert_eq!(found.as_ref(), Some(&expected));
        expected.absorb(change);
    }
    let unknown = StatusChange {
        key: key("SM9"),
        ..all[2].clone()
    };
    assert_eq!(summary(&*stores.one, &unknown).await, None);
}

pub async fn summary_of_pruned_reports_comes_from_their_message(stores: Counted) {
    record(&*stores.one, "SM1", "sent", 1).await;
    record(&*stores.one, "SM1", "delivered", 2).await;
    let first = changes(&*stores.one, 100, 2).await;
    record(&*stores.one, "SM1", "read", 5 * DAY).await;
    let all = changes(&*stores.one, 100, 3).await;
    prune_before(&*stores.one, 2 * DAY).await;
    let mut expected = MessageSummary::begin(&first[0]);
    expected.absorb(&first[1]);
    assert_eq!(summary(&*stores.other, &all[2]).await, Some(expected));
}

/// Returns what the changes of a log add up to, all in one interval.
async fn sum_of_changes(store: &dyn CountedStore, changes: &[StatusChange]) -> Counts {
    let mut sum = Counts::default();
    for change in changes {
        let after = match summary(store, change).await {
            Some(mut before) => {
                sum.add(&before.counts(), -1);
                before.absorb(change);
                before
            }
            None => MessageSummary::begin(change),
        };
        sum.add(&after.counts(), 1);
    }
    sum
}

pub async fn changes_add_up_to_the_messages(stores: Counted) {
    let words = [
        "queued",
        "sent",
        "delivered",
        "read",
        "undelivered",
        "new_word",
    ];
    let mut writers = JoinSet::new();
    let mut distinct = BTreeSet::new();
    for writer in 0..6_usize {
        let store = stores.nth(writer);
        let reports = (0..20_usize).map(|n| {
            let random = writer * 31 + n * 17;
            let at = i64::try_from(random % 50).expect("it is small");
            (random % 9, words[random % words.len()], at)
        });
        let reports: Vec<_> = reports.collect();
        distinct.extend(reports.iter().map(|(message, word, _)| (*message, *word)));
        writers.spawn(async move {
            for (message, word, at) in reports {
                record(&*store, &twilio_sid(message as u64), word, at).await;
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.expect("no writer panics");
    }
    let log = changes(&*stores.one, 7, distinct.len()).await;
    let mut messages: BTreeMap<MessageKey, MessageSummary> = BTreeMap::new();
    for change in &log {
        if let Some(summary) = messages.get_mut(&change.key) {
            summary.absorb(change);
        } else {
            messages.insert(change.key.clone(), MessageSummary::begin(change));
        }
    }
    let mut expected = Counts::default();
    for summary in messages.values() {
        expected.add(&summary.counts(), 1);
    }
    assert_eq!(sum_of_changes(&*stores.other, &log).await, expected);
    assert_eq!(log.len(), distinct.len());
    assert_eq!(expected.total_messages(), 9);
}
