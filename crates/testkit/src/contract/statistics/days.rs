//! Whose days are counted.

use domain::statistics::{Interval, RequestOutcome};
use domain::{LogPosition, Timestamp};
use ports::statistics::{
    IntervalCounts, MadeDay, StatisticsDays, StatisticsRange, StatisticsRow, StatisticsStep,
};
use tokio::task::JoinSet;

use super::{Counted, CountedStore};
use crate::builders::{channel_id, time};

fn counts(requests: i64) -> domain::statistics::Counts {
    let mut counts = domain::statistics::Counts::default();
    counts.requests.insert(RequestOutcome::Refused, requests);
    counts
}

async fn add(store: &dyn CountedStore, rows: &[(Interval, i64, &str, i64)]) {
    let rows = rows.iter().map(|(interval, start, channel, requests)| {
        let key = (*interval, time(*start), channel_id(channel));
        (key, counts(*requests))
    });
    let added = store.add_statistics(&rows.collect()).await;
    added.expect("the store is available");
}

async fn days(store: &dyn CountedStore) -> Vec<StatisticsRow> {
    let range = StatisticsRange {
        interval: Interval::Day,
        from: time(0),
        until: time(1_000_000),
        channel: None,
    };
    let rows = store.read_statistics(&range).await;
    rows.expect("it can be read")
}

fn of_zone(zone: &str, next: Option<i64>) -> StatisticsDays {
    StatisticsDays {
        zone: zone.to_owned(),
        since: Some(time(7)),
        next: next.map(time),
    }
}

async fn change(
    store: &dyn CountedStore,
    from: Option<&StatisticsDays>,
    to: &StatisticsDays,
    made: Option<MadeDay>,
) -> bool {
    let changed = store.change_days(from, to, made.as_ref()).await;
    changed.expect("the store is available")
}

pub async fn day_is_made_from_its_quarters(stores: Counted) {
    let (quarter, day) = (Interval::QuarterHour, Interval::Day);
    add(
        &*stores.one,
        &[
            (quarter, 99, "a", 1),
            (quarter, 100, "a", 2),
            (quarter, 150, "a", 3),
            (quarter, 199, "b", 4),
            (quarter, 200, "a", 5),
            (day, 79, "a", 10),
            (day, 80, "a", 20),
            (day, 180, "b", 30),
            (day, 200, "b", 40),
        ],
    )
    .await;
    let made = MadeDay {
        start: time(100),
        until: time(200),
        replaces_from: time(80),
    };
    let first = of_zone("Europe/Berlin", Some(100));
    assert!(change(&*stores.one, None, &first, None).await);
    let found = stores.other.statistics_days().await;
    assert_eq!(found.expect("it can be read"), Some(first.clone()));
    let second = of_zone("Europe/Berlin", Some(200));
    // Neither of these is what is stored.
    assert!(!change(&*stores.one, None, &second, Some(made)).await);
    assert!(!change(&*stores.one, Some(&second), &second, Some(made)).await);
    assert_eq!(days(&*stores.other).await.len(), 4);
    assert!(change(&*stores.one, Some(&first), &second, Some(made)).await);
    let expected = [(79, "a", 10), (100, "a", 5), (100, "b", 4), (200, "b", 40)];
    let expected = expected.map(|(start, channel, requests)| StatisticsRow {
        start: time(start),
        channel: channel_id(channel),
        counts: counts(requests),
    });
    assert_eq!(days(&*stores.other).await, expected);
}

pub async fn racing_changes_of_days_happen_once(stores: Counted) {
    add(&*stores.one, &[(Interval::QuarterHour, 10, "a", 1)]).await;
    let mut racers = JoinSet::new();
    for racer in 0..8 {
        let store = stores.nth(racer);
        racers.spawn(async move {
            let to = of_zone(&format!("zone {racer}"), None);
            change(&*store, None, &to, None).await
        });
    }
    let changed = racers.join_all().await;
    assert_eq!(changed.into_iter().filter(|changed| *changed).count(), 1);
}

pub async fn steps_of_other_days_are_refused(stores: Counted) {
    let apply = async |zone: &str, from: Option<i64>, position| {
        let step = StatisticsStep {
            position: LogPosition(position),
            zone: zone.to_owned(),
            counts: IntervalCounts::new(),
            last_arrivals: [].into(),
            problems: Vec::new(),
            recipients: Vec::new(),
            erasures: 0,
        };
        let applied = stores.one.apply_statistics(from.map(LogPosition), &step);
        applied.await.expect("the store is available")
    };
    assert!(apply("UTC", None, 1).await);
    let making = of_zone("UTC", Some(100));
    assert!(change(&*stores.one, None, &making, None).await);
    assert!(!apply("UTC", Some(1), 2).await);
    let made = of_zone("UTC", None);
    assert!(change(&*stores.one, Some(&making), &made, None).await);
    assert!(!apply("Asia/Kolkata", Some(1), 2).await);
    assert!(apply("UTC", Some(1), 2).await);
}

pub async fn bounds_are_the_first_and_the_last_start(stores: Counted) {
    let bounds = async |interval| {
        let bounds = stores.other.interval_bounds(interval).await;
        bounds.expect("it can be read")
    };
    assert_eq!(bounds(Interval::Day).await, None);
    let quarter = Interval::QuarterHour;
    add(&*stores.one, &[(quarter, 30, "a", 1)]).await;
    let pair = |first, last| -> Option<(Timestamp, Timestamp)> { Some((time(first), time(last))) };
    assert_eq!(bounds(quarter).await, pair(30, 30));
    add(
        &*stores.one,
        &[(quarter, 20, "b", 1), (quarter, 50, "a", 1)],
    )
    .await;
    assert_eq!(bounds(quarter).await, pair(20, 50));
    assert_eq!(bounds(Interval::Day).await, None);
}
