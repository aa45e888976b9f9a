//! What every [`Statistics`] store must do.

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32};

use domain::statistics::{
    Counts, Interval, MessageCell, MessageSummary, RequestOutcome, StatusChange, StatusLabel,
};
use domain::{DeliveryStatus, ErrorCode, LogPosition, MessageKey, Timestamp};
use ports::statistics::{
    IntervalCounts, LogBegins, StatisticsRange, StatisticsRow, StatisticsStep,
};
use ports::{Maintenance, ReportStore, Statistics};
use tokio::task::JoinSet;

use super::Stores;
use crate::builders::{channel_id, key, report, time, twilio_sid};

/// A store of reports whose statistics are maintained.
pub trait CountedStore: ReportStore + Statistics + Maintenance {}

impl<S: ReportStore + Statistics + Maintenance> CountedStore for S {}

/// Gives the names of all functions of this area to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __statistics_contract {
    ([$($then:tt)*] $($arguments:tt)*) => {
        $($then)*! { $($arguments)*,
            changes_are_read_once_in_the_order_of_the_log
            duplicates_are_no_changes
            changes_after_a_pruned_position_start_at_the_oldest
            summary_has_the_reports_before_a_position
            summary_of_pruned_reports_comes_from_their_message
            changes_add_up_to_the_messages
            step_is_applied_with_its_position
            step_from_another_position_changes_nothing
            one_of_racing_steps_is_applied
            added_counts_leave_the_position
            racing_additions_are_all_counted
            rows_are_read_by_length_time_and_channel
            intervals_without_counts_are_absent
            old_rows_are_pruned_a_few_at_a_time
            reset_keeps_requests_and_reports_older_than_the_log
        }
    };
}

type Counted = Stores<dyn CountedStore>;

async fn record(store: &dyn CountedStore, sid: &str, status: &str, at: i64) {
    let report = report(sid).status(status).at(at).build();
    store
        .record(&[report])
        .await
        .expect("the store is available");
}

/// Reads all changes, `limit` at a time. Waits until there are at least `expected`: a report may
/// be readable a moment after it was recorded.
async fn changes(store: &dyn CountedStore, limit: u16, expected: usize) -> Vec<StatusChange> {
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

pub async fn duplicates_are_no_changes(stores: Counted) {
    for at in [10, 5, 20] {
        record(&*stores.one, "SM1", "failed", at).await;
    }
    let all = changes(&*stores.one, 100, 1).await;
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].arrived_at, time(10));
}

const DAY: i64 = 24 * 60 * 60 * 1_000_000;

async fn prune_before(store: &dyn CountedStore, before: i64) {
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
    for writer in 0..6_usize {
        let store = stores.nth(writer);
        writers.spawn(async move {
            for n in 0..20_usize {
                let random = writer * 31 + n * 17;
                let sid = twilio_sid((random % 9) as u64);
                let word = words[random % words.len()];
                record(
                    &*store,
                    &sid,
                    word,
                    i64::try_from(random % 50).expect("it is small"),
                )
                .await;
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.expect("no writer panics");
    }
    let log = changes(&*stores.one, 7, 1).await;
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
    assert_eq!(expected.total_messages(), 9);
}

fn counts(reports: i64) -> Counts {
    let mut counts = Counts::default();
    let label = StatusLabel::Delivery(DeliveryStatus::Sent);
    counts.reports.insert(label, reports);
    counts
}

fn at(start: i64, channel: &str) -> (Interval, Timestamp, domain::ChannelId) {
    (Interval::QuarterHour, time(start), channel_id(channel))
}

fn step(position: i64, counts: IntervalCounts) -> StatisticsStep {
    StatisticsStep {
        position: LogPosition(position),
        counts,
    }
}

async fn apply(store: &dyn CountedStore, from: Option<i64>, step: &StatisticsStep) -> bool {
    let applied = store.apply_statistics(from.map(LogPosition), step).await;
    applied.expect("the store is available")
}

async fn add(store: &dyn CountedStore, changes: IntervalCounts) {
    let added = store.add_statistics(&changes).await;
    added.expect("the store is available");
}

async fn read(store: &dyn CountedStore) -> Vec<StatisticsRow> {
    let rows = store
        .read_statistics(&everything(Interval::QuarterHour))
        .await;
    rows.expect("it can be read")
}

fn everything(interval: Interval) -> StatisticsRange {
    StatisticsRange {
        interval,
        from: time(0),
        until: time(1_000_000_000),
        channel: None,
    }
}

fn row(start: i64, channel: &str, counts: Counts) -> StatisticsRow {
    StatisticsRow {
        start: time(start),
        channel: channel_id(channel),
        counts,
    }
}

pub async fn step_is_applied_with_its_position(stores: Counted) {
    let none = stores.one.statistics_position().await;
    assert_eq!(none.expect("it can be read"), None);
    let first = step(5, [(at(10, "a"), counts(2))].into());
    assert!(apply(&*stores.one, None, &first).await);
    let second = step(
        9,
        [(at(10, "a"), counts(3)), (at(20, "b"), counts(1))].into(),
    );
    assert!(apply(&*stores.other, Some(5), &second).await);
    let position = stores.one.statistics_position().await;
    assert_eq!(position.expect("it can be read"), Some(LogPosition(9)));
    let expected = [row(10, "a", counts(5)), row(20, "b", counts(1))];
    assert_eq!(read(&*stores.one).await, expected);
}

pub async fn step_from_another_position_changes_nothing(stores: Counted) {
    let change = || IntervalCounts::from([(at(10, "a"), counts(2))]);
    assert!(!apply(&*stores.one, Some(5), &step(9, change())).await);
    assert!(apply(&*stores.one, None, &step(5, change())).await);
    for from in [None, Some(4), Some(6)] {
        assert!(!apply(&*stores.other, from, &step(9, change())).await);
    }
    assert_eq!(read(&*stores.one).await, [row(10, "a", counts(2))]);
}

pub async fn one_of_racing_steps_is_applied(stores: Counted) {
    let mut racers = JoinSet::new();
    for racer in 0..8 {
        let store = stores.nth(racer);
        racers.spawn(async move {
            let mut applied = 0;
            for n in 0..10 {
                let from = (n > 0).then_some(n);
                let step = step(n + 1, [(at(10, "a"), counts(1))].into());
                applied += usize::from(apply(&*store, from, &step).await);
                // The step of another racer may not be there yet.
                while store
                    .statistics_position()
                    .await
                    .expect("it can be read")
                    .is_none_or(|it| it < LogPosition(n + 1))
                {
                    tokio::task::yield_now().await;
                }
            }
            applied
        });
    }
    let applied: usize = racers.join_all().await.into_iter().sum();
    assert_eq!(applied, 10);
    assert_eq!(read(&*stores.one).await, [row(10, "a", counts(10))]);
}

pub async fn added_counts_leave_the_position(stores: Counted) {
    add(&*stores.one, [(at(10, "a"), counts(2))].into()).await;
    let none = stores.other.statistics_position().await;
    assert_eq!(none.expect("it can be read"), None);
    assert_eq!(read(&*stores.other).await, [row(10, "a", counts(2))]);
}

pub async fn racing_additions_are_all_counted(stores: Counted) {
    let mut racers = JoinSet::new();
    for racer in 0..8 {
        let store = stores.nth(racer);
        racers.spawn(async move {
            for n in 0..5 {
                add(&*store, [(at(10, "a"), counts(1))].into()).await;
                let from = (n > 0).then_some(n);
                apply(
                    &*store,
                    from,
                    &step(n + 1, [(at(10, "b"), counts(1))].into()),
                )
                .await;
            }
        });
    }
    racers.join_all().await;
    let rows = read(&*stores.one).await;
    assert_eq!(rows[0], row(10, "a", counts(40)));
}

pub async fn rows_are_read_by_length_time_and_channel(stores: Counted) {
    let mut change = IntervalCounts::new();
    for start in [10, 20, 30] {
        for channel in ["b", "a"] {
            change.insert(at(start, channel), counts(start));
        }
    }
    let day = (Interval::Day, time(0), channel_id("a"));
    change.insert(day, counts(120));
    assert!(apply(&*stores.one, None, &step(1, change)).await);
    let range = StatisticsRange {
        from: time(20),
        until: time(30),
        ..everything(Interval::QuarterHour)
    };
    let rows = stores.other.read_statistics(&range).await;
    let expected = [row(20, "a", counts(20)), row(20, "b", counts(20))];
    assert_eq!(rows.expect("it can be read"), expected);
    let range = StatisticsRange {
        channel: Some(channel_id("b")),
        ..everything(Interval::QuarterHour)
    };
    let rows = stores.other.read_statistics(&range).await;
    let expected = [10, 20, 30].map(|start| row(start, "b", counts(start)));
    assert_eq!(rows.expect("it can be read"), expected);
    let rows = stores
        .other
        .read_statistics(&everything(Interval::Day))
        .await;
    assert_eq!(rows.expect("it can be read"), [row(0, "a", counts(120))]);
}

pub async fn intervals_without_counts_are_absent(stores: Counted) {
    let plus = step(
        1,
        [(at(10, "a"), counts(1)), (at(20, "a"), counts(1))].into(),
    );
    assert!(apply(&*stores.one, None, &plus).await);
    assert!(
        apply(
            &*stores.one,
            Some(1),
            &step(2, [(at(10, "a"), counts(-1))].into())
        )
        .await
    );
    assert_eq!(read(&*stores.other).await, [row(20, "a", counts(1))]);
}

pub async fn old_rows_are_pruned_a_few_at_a_time(stores: Counted) {
    let mut change = IntervalCounts::new();
    for start in 0..10 {
        change.insert(at(start, "a"), counts(1));
    }
    change.insert((Interval::Day, time(0), channel_id("a")), counts(1));
    assert!(apply(&*stores.one, None, &step(1, change)).await);
    let mut pruned = Vec::new();
    for _ in 0..3 {
        let limit = NonZeroU16::new(4).expect("a limit");
        let removed = stores
            .other
            .prune_statistics(Interval::QuarterHour, time(7), limit)
            .await;
        pruned.push(removed.expect("the store is available"));
    }
    assert_eq!(pruned, [4, 3, 0]);
    assert_eq!(read(&*stores.one).await.len(), 3);
    let days = stores.one.read_statistics(&everything(Interval::Day)).await;
    assert_eq!(days.expect("it can be read").len(), 1);
}

pub async fn reset_keeps_requests_and_reports_older_than_the_log(stores: Counted) {
    let mut all = counts(3);
    all.messages.insert(MessageCell::default(), 2);
    all.errors
        .insert(ErrorCode::parse("63016").expect("a code"), 1);
    all.time_to_delivered.add(3, 1);
    all.time_to_read.add(4, 1);
    all.requests.insert(RequestOutcome::Challenged, 5);
    let mut change: IntervalCounts = [10, 20].map(|start| (at(start, "a"), all.clone())).into();
    for start in [0, 5] {
        let day = (Interval::Day, time(start), channel_id("a"));
        change.insert(day, counts(start + 1));
    }
    assert!(apply(&*stores.one, None, &step(7, change)).await);
    let begins = LogBegins {
        quarter_hour: time(20),
        day: time(5),
    };
    let reset = stores.other.reset_statistics(Some(begins)).await;
    reset.expect("the store is available");
    let position = stores.one.statistics_position().await;
    assert_eq!(position.expect("it can be read"), None);
    let requests = Counts {
        requests: all.requests.clone(),
        ..Counts::default()
    };
    let mut older = counts(3);
    older.add(&requests, 1);
    let expected = [row(10, "a", older), row(20, "a", requests.clone())];
    assert_eq!(read(&*stores.one).await, expected);
    let days = stores.one.read_statistics(&everything(Interval::Day)).await;
    assert_eq!(days.expect("it can be read"), [row(0, "a", counts(1))]);
    let reset = stores.one.reset_statistics(None).await;
    reset.expect("the store is available");
    let expected = [10, 20].map(|start| row(start, "a", requests.clone()));
    assert_eq!(read(&*stores.other).await, expected);
}
