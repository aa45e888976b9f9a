//! What every [`Retention`] must do.

use std::num::{NonZeroU16, NonZeroU32};

use domain::event::events_of;
use domain::{DeliveryStatus, Effect, LogEntry, LogPosition, Report};
use ports::log::LogRead;
use ports::retention::Pruning;
use ports::{ReportLog, ReportStore, Retention};
use tokio::task::JoinSet;

use super::Stores;
use super::log::{Reader, page};
use super::reports::record;
use crate::builders::{key, report, time, twilio_sid};

/// Gives the names of all functions of this area to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __retention_contract {
    ([$($then:tt)*] $($arguments:tt)*) => {
        $($then)*! { $($arguments)*,
            old_reports_go_and_readers_behind_are_told
            old_days_that_were_made_room_for_go_as_well
            a_log_that_is_all_old_goes_and_begins_anew
            an_old_report_that_was_recorded_lately_stays
            a_report_from_a_clock_that_was_ahead_goes_with_its_neighbours
            no_step_removes_more_than_its_budget
            racing_steps_remove_everything_once
            a_log_of_new_reports_stays_as_it_is
            a_message_without_its_reports_still_tells_them
            a_report_after_those_that_are_gone_knows_what_they_said
            old_messages_go_when_their_reports_are_gone
            a_message_that_was_heard_of_lately_stays
            no_step_removes_more_messages_than_its_budget
            days_are_made_room_for_once
        }
    };
}

/// A store that records reports, hands them out and removes them.
pub trait RetainingStore: ReportStore + ReportLog + Retention {}

impl<S: ReportStore + ReportLog + Retention> RetainingStore for S {}

type Retained = Stores<dyn RetainingStore>;

const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// Two reports of each of four days, the first days first.
fn history() -> Vec<Report> {
    (0_i64..8)
        .map(|n| {
            let report = report(&twilio_sid(n.unsigned_abs()));
            report.status("sent").at(n / 2 * DAY + n).build()
        })
        .collect()
}

fn budget(rows: u32) -> NonZeroU32 {
    NonZeroU32::new(rows).expect("more than nothing")
}

/// Records reports one by one, and waits until they can be read.
async fn record_all(stores: &Retained, reports: &[Report]) -> Vec<LogEntry> {
    let mut new = 0;
    for report in reports {
        let effects = record(&*stores.one, std::slice::from_ref(report)).await;
        new += usize::from(effects != [Effect::Duplicate]);
    }
    Reader::read(&*stores.one, new, 100).await.entries
}

async fn prune_reports(store: &dyn RetainingStore, before: i64, rows: u32) -> Pruning {
    let pruned = store.prune_reports(time(before), budget(rows)).await;
    pruned.expect("the store is there")
}

/// Removes what is too old, step by step.
async fn prune_all(store: &dyn RetainingStore, before: i64) {
    for _ in 0..100 {
        if prune_reports(store, before, 3).await.done {
            return;
        }
    }
    panic!("it never ends");
}

async fn prune_messages(store: &dyn RetainingStore, before: i64, rows: u32) -> Pruning {
    let pruned = store.prune_messages(time(before), budget(rows)).await;
    pruned.expect("the store is there")
}

/// What is left of a log, read from the oldest there is.
async fn left(stores: &Retained) -> Vec<LogEntry> {
    page(&*stores.other, None, 1_000).await.entries
}

/// `Some` if reports behind a position are gone.
async fn pruned(store: &dyn RetainingStore, after: LogPosition) -> Option<LogPosition> {
    let read = store.read(Some(after), NonZeroU16::MAX).await;
    match read.expect("the log can be read") {
        LogRead::Page(_) => None,
        LogRead::Pruned { oldest } => Some(oldest),
    }
}

/// Fails unless of this log the first reports, and no others, are gone.
async fn assert_gone(stores: &Retained, all: &[LogEntry], gone: usize) {
    assert_eq!(left(stores).await, all[gone..]);
    for (place, entry) in all.iter().enumerate() {
        let oldest = pruned(&*stores.one, entry.position).await;
        assert_eq!(oldest.is_some(), place + 1 < gone, "place {place}");
        let rest = stores.one.behind(entry.position, NonZeroU16::MAX).await;
        let rest = rest.expect("the store is there");
        assert_eq!(rest.pruned, oldest.is_some(), "place {place}");
        if let Some(oldest) = oldest {
            let page = page(&*stores.one, Some(oldest), 1_000).await;
            assert_eq!(page.entries, all[gone..]);
        }
    }
    let long_ago = stores.one.position_at(time(-DAY)).await;
    let from = Some(long_ago.expect("it is known"));
    assert_eq!(page(&*stores.one, from, 1_000).await.entries, all[gone..]);
}

pub async fn old_reports_go_and_readers_behind_are_told(stores: Retained) {
    let all = record_all(&stores, &history()).await;
    prune_all(&*stores.one, DAY).await;
    assert_gone(&stores, &all, 2).await;
    prune_all(&*stores.other, 3 * DAY).await;
    assert_gone(&stores, &all, 6).await;
    prune_all(&*stores.other, DAY).await;
    assert_gone(&stores, &all, 6).await;
}

pub async fn old_days_that_were_made_room_for_go_as_well(stores: Retained) {
    let made = stores.one.make_partitions(time(DAY)).await;
    made.expect("the store is there");
    old_reports_go_and_readers_behind_are_told(stores).await;
}

pub async fn a_log_that_is_all_old_goes_and_begins_anew(stores: Retained) {
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

pub async fn an_old_report_that_was_recorded_lately_stays(stores: Retained) {
    let history = [5 * DAY, 0, 1].map(|at| report(&format!("SM{at}")).at(at).build());
    let all = record_all(&stores, &history).await;
    prune_all(&*stores.one, 3 * DAY).await;
    assert_gone(&stores, &all, 0).await;
    prune_all(&*stores.one, 7 * DAY).await;
    assert_gone(&stores, &all, 3).await;
}

pub async fn a_report_from_a_clock_that_was_ahead_goes_with_its_neighbours(stores: Retained) {
    let times = [0, 9_000 * DAY, 1, 5 * DAY];
    let history = times.map(|at| report(&format!("SM{at}")).at(at).build());
    let all = record_all(&stores, &history).await;
    prune_all(&*stores.one, 3 * DAY).await;
    assert_gone(&stores, &all, 3).await;
}

pub async fn no_step_removes_more_than_its_budget(stores: Retained) {
    let all = record_all(&stores, &history()).await;
    for (rows, gone, done) in [(2, 2, false), (2, 4, false), (0, 4, true)] {
        let pruning = prune_reports(&*stores.one, 2 * DAY, 2).await;
        assert_eq!((pruning.rows, pruning.days, pruning.done), (rows, 0, done));
        assert_gone(&stores, &all, gone).await;
    }
}

pub async fn racing_steps_remove_everything_once(stores: Retained) {
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

pub async fn a_log_of_new_reports_stays_as_it_is(stores: Retained) {
    let nothing = Pruning {
        rows: 0,
        days: 0,
        done: true,
    };
    assert_eq!(prune_reports(&*stores.one, DAY, 10).await, nothing);
    assert_eq!(prune_messages(&*stores.one, DAY, 10).await, nothing);
    let all = record_all(&stores, &history()).await;
    assert_eq!(prune_reports(&*stores.one, 0, 10).await, nothing);
    assert_eq!(prune_messages(&*stores.one, 0, 10).await, nothing);
    assert_gone(&stores, &all, 0).await;
}

pub async fn a_message_without_its_reports_still_tells_them(stores: Retained) {
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

pub async fn a_report_after_those_that_are_gone_knows_what_they_said(stores: Retained) {
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

pub async fn old_messages_go_when_their_reports_are_gone(stores: Retained) {
    record_all(&stores, &history()).await;
    let pruning = prune_messages(&*stores.one, 10 * DAY, 100).await;
    assert_eq!((pruning.rows, pruning.done), (0, true), "the log has them");
    prune_all(&*stores.one, 2 * DAY).await;
    let pruning = prune_messages(&*stores.other, 10 * DAY, 100).await;
    assert_eq!((pruning.rows, pruning.done), (4, true));
    for n in 0..8 {
        let found = stores.one.message(&key(&twilio_sid(n))).await;
        assert_eq!(found.expect("readable").is_some(), n >= 4, "message {n}");
    }
    let anew = report(&twilio_sid(0)).status("sent").at(5 * DAY).build();
    assert_eq!(record(&*stores.one, &[anew]).await, [Effect::Advanced]);
}

pub async fn a_message_that_was_heard_of_lately_stays(stores: Retained) {
    let sent = |at| report("SM1").status("sent").at(at).build();
    record_all(&stores, &[sent(0), sent(5 * DAY)]).await;
    prune_all(&*stores.one, 3 * DAY).await;
    assert_eq!(prune_messages(&*stores.one, 3 * DAY, 10).await.rows, 0);
    assert_eq!(prune_messages(&*stores.one, 6 * DAY, 10).await.rows, 1);
}

pub async fn no_step_removes_more_messages_than_its_budget(stores: Retained) {
    record_all(&stores, &history()).await;
    prune_all(&*stores.one, 10 * DAY).await;
    for (rows, done) in [(3, false), (3, false), (2, true), (0, true)] {
        let pruning = prune_messages(&*stores.one, 10 * DAY, 3).await;
        assert_eq!((pruning.rows, pruning.done), (rows, done));
    }
}

pub async fn days_are_made_room_for_once(stores: Retained) {
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
