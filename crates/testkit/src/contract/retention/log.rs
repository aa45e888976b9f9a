//! Removing old reports, and readers before the cut.

use std::num::NonZeroU16;

use domain::event::events_of;
use domain::{DeliveryStatus, Effect, LogEntry, LogPosition};
use ports::event_log::LogRead;
use ports::maintenance::Pruning;
use tokio::task::JoinSet;

use super::RetainingStore;
use super::steps::{
    DAY, Retained, history, prune_all, prune_reports, record_all, record_new, run_scans,
};
use crate::builders::{key, report, time};
use crate::contract::log::page;
use crate::contract::reports::record;

/// Returns the remaining entries of the log, oldest first.
async fn left(stores: &Retained) -> Vec<LogEntry> {
    page(&*stores.other, None, 1_000).await.entries
}

/// Returns the oldest position if reports after `after` were removed.
async fn pruned(store: &dyn RetainingStore, after: LogPosition) -> Option<LogPosition> {
    let read = store.read(Some(after), NonZeroU16::MAX).await;
    match read.expect("the log can be read") {
        LogRead::Page(_) => None,
        LogRead::Pruned { oldest } => Some(oldest),
    }
}

/// Fails unless exactly the first `gone` reports of the log were removed.
async fn assert_gone(stores: &Retained, all: &[LogEntry], gone: usize) {
    assert_eq!(left(stores).await, all[gone..]);
    for (place, entry) in all.iter().enumerate() {
        let oldest = pruned(&*stores.one, entry.position).await;
        assert_eq!(oldest.is_some(), place + 1 < gone, "place {place}");
        let rest = stores
            .one
            .count_after(entry.position, NonZeroU16::MAX)
            .await;
        let rest = rest.expect("the store is there");
        assert_eq!(rest.pruned, oldest.is_some(), "place {place}");
        if let Some(oldest) = oldest {
            let page = page(&*stores.one, Some(oldest), 1_000).await;
            assert_eq!(page.entries, all[gone..]);
        }
    }
    let long_ago = stores.one.seek(time(-DAY)).await;
    let from = Some(long_ago.expect("it is known"));
    assert_eq!(page(&*stores.one, from, 1_000).await.entries, all[gone..]);
}

pub async fn old_reports_are_removed_and_readers_before_the_cut_get_pruned(stores: Retained) {
    let all = record_all(&stores, &history()).await;
    prune_all(&*stores.one, DAY).await;
    assert_gone(&stores, &all, 2).await;
    prune_all(&*stores.other, 3 * DAY).await;
    assert_gone(&stores, &all, 6).await;
    prune_all(&*stores.other, DAY).await;
    assert_gone(&stores, &all, 6).await;
}

pub async fn old_days_with_partitions_are_removed(stores: Retained) {
    let made = stores.one.make_partitions(time(DAY)).await;
    made.expect("the store is there");
    old_reports_are_removed_and_readers_before_the_cut_get_pruned(stores).await;
}

pub async fn an_expired_log_is_removed_and_can_be_written_again(stores: Retained) {
    let made = stores.one.make_partitions(time(0)).await;
    made.expect("the store is there");
    let mut all = record_all(&stores, &history()).await;
    prune_all(&*stores.one, 30 * DAY).await;
    assert_gone(&stores, &all, 8).await;
    record(&*stores.one, &[report("SM1").at(31 * DAY).build()]).await;
    let mut new = left(&stores).await;
    while new.is_empty() {
        tokio::task::yield_now().await;
        new = left(&stores).await;
    }
    assert!(new[0].position > all[7].position);
    all.extend(new);
    assert_gone(&stores, &all, 8).await;
}

pub async fn a_recently_recorded_old_report_is_kept(stores: Retained) {
    let history = [5 * DAY, 0, 1].map(|at| report(&format!("SM{at}")).at(at).build());
    let all = record_all(&stores, &history).await;
    prune_all(&*stores.one, 3 * DAY).await;
    assert_gone(&stores, &all, 0).await;
    prune_all(&*stores.one, 7 * DAY).await;
    assert_gone(&stores, &all, 3).await;
}

pub async fn a_clock_in_the_past_removes_nothing(stores: Retained) {
    let made = stores.one.make_partitions(time(0)).await;
    made.expect("the store is there");
    let all = record_all(&stores, &history()).await;
    for before in [-90 * DAY, -390 * DAY, -4_000 * DAY] {
        prune_all(&*stores.one, before).await;
        assert_gone(&stores, &all, 0).await;
    }
}

pub async fn a_report_dated_after_the_current_time_holds_the_log_until_it_is_released(
    stores: Retained,
) {
    let times = [0, 9_000 * DAY, 1, 5 * DAY];
    let history = times.map(|at| report(&format!("SM{at}")).at(at).build());
    let mut all = record_all(&stores, &history).await;
    prune_all(&*stores.one, 3 * DAY).await;
    assert_gone(&stores, &all, 1).await;
    let first = stores.other.first_report().await;
    assert_eq!(first.expect("readable"), Some(time(9_000 * DAY)));
    let released = stores.one.release_reports_after(time(6 * DAY)).await;
    released.expect("the store is there");
    let first = stores.other.first_report().await;
    assert_eq!(first.expect("readable"), Some(time(1)));
    // Reports recorded later are not released.
    record_new(&stores, &[report("SM7").at(8_000 * DAY).build()]).await;
    all.extend(left(&stores).await.pop());
    prune_all(&*stores.one, 3 * DAY).await;
    assert_gone(&stores, &all, 3).await;
    prune_all(&*stores.one, 7 * DAY).await;
    assert_gone(&stores, &all, 4).await;
}

pub async fn no_step_removes_more_than_its_budget(stores: Retained) {
    let all = record_all(&stores, &history()).await;
    for (rows, gone, done) in [(2, 2, false), (2, 4, false), (0, 4, true)] {
        let pruning = prune_reports(&*stores.one, 2 * DAY, 2).await;
        assert_eq!((pruning.rows, pruning.days, pruning.done), (rows, 0, done));
        assert_gone(&stores, &all, gone).await;
    }
}

pub async fn racing_retention_steps_remove_every_report_once(stores: Retained) {
    let made = stores.one.make_partitions(time(0)).await;
    made.expect("the store is there");
    let all = record_all(&stores, &history()).await;
    let mut racers = JoinSet::new();
    for racer in 0..6_usize {
        let store = stores.nth(racer);
        racers.spawn(async move { prune_all(&*store, 3 * DAY).await });
    }
    racers.join_all().await;
    assert_gone(&stores, &all, 6).await;
}

pub async fn a_log_of_new_reports_is_not_pruned(stores: Retained) {
    let nothing = Pruning {
        rows: 0,
        days: 0,
        done: true,
    };
    assert_eq!(prune_reports(&*stores.one, DAY, 10).await, nothing);
    assert_eq!(run_scans(&*stores.one, 2 * DAY, 1, 10).await, [0]);
    let all = record_all(&stores, &history()).await;
    assert_eq!(prune_reports(&*stores.one, 0, 10).await, nothing);
    assert_eq!(run_scans(&*stores.one, 3 * DAY, 3, 10).await, [0]);
    assert_gone(&stores, &all, 0).await;
}

pub async fn a_message_keeps_its_state_without_its_reports(stores: Retained) {
    let history = [("sent", 1), ("failed", 2), ("read", DAY)];
    let history = history.map(|(word, at)| report("SM1").status(word).at(at).build());
    record_all(&stores, &history).await;
    let read = || async { stores.one.message(&key("SM1")).await.expect("readable") };
    let whole = read().await.expect("it is there");
    for (before, gone) in [(DAY, 2), (2 * DAY, 3)] {
        prune_all(&*stores.one, before).await;
        let found = read().await.expect("it is there");
        assert_eq!(found.message, whole.message);
        assert_eq!(found.reports, whole.reports[gone..]);
    }
    let again = report("SM1").status("sent").at(3 * DAY).build();
    assert_eq!(record(&*stores.one, &[again]).await, [Effect::Duplicate]);
}

pub async fn a_report_after_pruned_ones_has_the_state_before_it(stores: Retained) {
    let words = [("sent", 1), ("failed", 2)];
    let history = words.map(|(word, at)| report("SM1").status(word).at(at).build());
    record_all(&stores, &history).await;
    prune_all(&*stores.one, DAY).await;
    record(&*stores.one, &[report("SM1").at(2 * DAY).build()]).await;
    let mut new = left(&stores).await;
    while new.is_empty() {
        tokio::task::yield_now().await;
        new = left(&stores).await;
    }
    let events: Vec<_> = events_of(&new[0]).collect();
    let types: Vec<_> = events
        .iter()
        .map(|event| event.event_type.as_str())
        .collect();
    assert_eq!(types, ["message.delivered", "message.contradicted"]);
    assert_eq!(events[0].previous, Some(DeliveryStatus::Failed));
    assert_eq!(events[0].revision, 3);
    assert_eq!(events[0].timeline.steps().count(), 3);
}

pub async fn partitions_are_created_once(stores: Retained) {
    let all = record_all(&stores, &history()).await;
    for _ in 0..2 {
        let mut racers = JoinSet::new();
        for racer in 0..4_usize {
            let store = stores.nth(racer);
            racers.spawn(async move { store.make_partitions(time(DAY)).await });
        }
        for made in racers.join_all().await {
            made.expect("the store is there");
        }
        assert_gone(&stores, &all, 0).await;
    }
    let made = stores.one.make_partitions(time(DAY + 1)).await;
    assert_eq!(made.expect("the store is there"), 0);
}
