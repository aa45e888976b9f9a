//! Counts and the position of the reader.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use domain::statistics::{Counts, Interval, MessageCell, RequestOutcome, StatusLabel};
use domain::{DeliveryStatus, ErrorCode, LogPosition, Timestamp};
use ports::statistics::{
    CountedBatch, IntervalCounts, LogBegins, StatisticsRange, StatisticsRow, StatisticsStep,
};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Counted, CountedStore};
use crate::builders::{channel_id, time};

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
        zone: "UTC".to_owned(),
        counts,
        last_arrivals: BTreeMap::new(),
        problems: Vec::new(),
        recipients: Vec::new(),
        erasures: 0,
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

pub async fn last_arrivals_are_replaced_with_the_step(stores: Counted) {
    let channels = ["a", "b", "c"].map(channel_id);
    let arrivals = |of: &[(&str, i64)]| -> BTreeMap<_, _> {
        let of = of.iter();
        of.map(|(channel, at)| (channel_id(channel), time(*at)))
            .collect()
    };
    let read = async || {
        let read = stores.other.last_arrivals(&channels).await;
        read.expect("it can be read")
    };
    assert_eq!(read().await, arrivals(&[]));
    let with = |position, last_arrivals| StatisticsStep {
        last_arrivals,
        ..step(position, IntervalCounts::new())
    };
    let first = with(5, arrivals(&[("a", 10), ("b", 20), ("d", 5)]));
    assert!(apply(&*stores.one, None, &first).await);
    assert_eq!(read().await, arrivals(&[("a", 10), ("b", 20)]));
    let second = with(6, arrivals(&[("b", 30), ("c", 40)]));
    assert!(!apply(&*stores.one, None, &second).await);
    assert!(apply(&*stores.one, Some(5), &second).await);
    assert_eq!(read().await, arrivals(&[("a", 10), ("b", 30), ("c", 40)]));
    let reset = stores.one.reset_statistics(None).await;
    reset.expect("the store is available");
    assert_eq!(read().await, arrivals(&[]));
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

pub async fn batch_is_added_once(stores: Counted) {
    const DAY: i64 = 24 * 60 * 60 * 1_000_000;
    let writers = [Uuid::from_u128(1), Uuid::from_u128(2)];
    let add = async |writer, number, taken_at| {
        let batch = CountedBatch {
            writer,
            number,
            taken_at: time(taken_at),
            counts: [(at(10, "a"), counts(1))].into(),
        };
        let added = stores.one.add_batch(&batch).await;
        added.expect("the store is available")
    };
    assert!(add(writers[0], 1, 10).await);
    assert!(!add(writers[0], 1, 20).await);
    assert!(add(writers[1], 1, 20).await);
    assert!(add(writers[0], 2, DAY).await);
    assert!(!add(writers[0], 1, DAY).await);
    assert_eq!(read(&*stores.other).await, [row(10, "a", counts(3))]);
    // By now the second writer is forgotten, and the first is not.
    assert!(!add(writers[0], 2, 31 * DAY).await);
    assert!(add(writers[1], 1, 31 * DAY).await);
    assert_eq!(read(&*stores.other).await, [row(10, "a", counts(4))]);
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
    all.gaps.add(5, 2);
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
    older.gaps.add(5, 2);
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
