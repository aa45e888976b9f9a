//! Steps shared by several tests.

use std::num::NonZeroU32;
use std::ops::Range;

use domain::{Effect, LogEntry, Report};
use ports::channels::Change;
use ports::maintenance::Pruning;

use super::RetainingStore;
use crate::builders::{
    channel, channel_id, credential, keep_days, key_on, report, time, twilio_sid,
};
use crate::contract::Stores;
use crate::contract::log::{Reader, page};
use crate::contract::reports::record;

pub(super) type Retained = Stores<dyn RetainingStore>;

pub(super) const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// Returns two reports of each of four days, oldest first.
pub(super) fn history() -> Vec<Report> {
    (0_i64..8)
        .map(|n| {
            let report = report(&twilio_sid(n.unsigned_abs()));
            report.status("sent").at(n / 2 * DAY + n).build()
        })
        .collect()
}

pub(super) fn budget(rows: u32) -> NonZeroU32 {
    NonZeroU32::new(rows).expect("more than nothing")
}

/// Records reports one by one, and waits until they can be read.
pub(super) async fn record_all(stores: &Retained, reports: &[Report]) -> Vec<LogEntry> {
    let mut new = 0;
    for report in reports {
        let effects = record(&*stores.one, std::slice::from_ref(report)).await;
        new += usize::from(effects != [Effect::Duplicate]);
    }
    Reader::read(&*stores.one, new, 100).await.entries
}

pub(super) async fn prune_reports(store: &dyn RetainingStore, before: i64, rows: u32) -> Pruning {
    let pruned = store.prune_reports(time(before), budget(rows)).await;
    pruned.expect("the store is there")
}

/// Removes expired reports in steps of three.
pub(super) async fn prune_all(store: &dyn RetainingStore, before: i64) {
    for _ in 0..100 {
        if prune_reports(store, before, 3).await.done {
            return;
        }
    }
    panic!("it does not finish");
}

/// The result of [`run_scans`] when no scan is due.
pub(super) const NO_STEPS: [u64; 0] = [];

/// Runs steps of the retention scans over messages until all are finished. Returns how many
/// messages each step removed.
pub(super) async fn run_scans(
    store: &dyn RetainingStore,
    now: i64,
    keep: u16,
    rows: u32,
) -> Vec<u64> {
    let mut removed = Vec::new();
    for _ in 0..1_000 {
        match step(store, now, keep, rows).await {
            Some(gone) => removed.push(gone),
            None => return removed,
        }
    }
    panic!("it does not finish");
}

/// Runs one step of a scan; `None` if no scan is due or unfinished.
pub(super) async fn step(
    store: &dyn RetainingStore,
    now: i64,
    keep: u16,
    rows: u32,
) -> Option<u64> {
    let pruned = store.prune_messages(time(now), keep_days(keep), budget(rows));
    let pruned = pruned.await.expect("the store is there");
    assert!(
        pruned.rows <= rows.into() && !(pruned.done && pruned.rows > 0),
        "{pruned:?}"
    );
    (!pruned.done).then_some(pruned.rows)
}

/// Sets or removes the retention of a channel.
pub(super) async fn keep_messages(stores: &Retained, id: &str, days: Option<u16>) {
    let store = &*stores.one;
    let found = store.find(&channel_id(id)).await.expect("readable");
    let change = if let Some(found) = found {
        let mut changed = found.channel;
        changed.version += 1;
        changed.keep_messages_days = days.map(keep_days);
        store.update(&changed).await
    } else {
        let mut new = channel(id).build();
        new.keep_messages_days = days.map(keep_days);
        let number = id.bytes().fold(0, |sum, byte| sum << 8 | u128::from(byte));
        let credential = credential(id, number).build();
        store.add(&new, &credential).await
    };
    assert_eq!(change.expect("the store is there"), Change::Done);
}

/// Records new reports and waits until they can be read; older ones may be pruned.
pub(super) async fn record_new(stores: &Retained, reports: &[Report]) {
    record(&*stores.one, reports).await;
    let last = reports.last().expect("some reports");
    loop {
        let mut entries = page(&*stores.one, None, 1_000).await.entries.into_iter();
        if entries.any(|entry| entry.report.report == *last) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Records a message for each of these days on each of these channels, with one report at the
/// beginning of the day.
pub(super) async fn record_days(stores: &Retained, channels: &[&str], days: Range<u32>) {
    let mut reports = Vec::new();
    for day in days {
        for channel in channels {
            let report = report(&twilio_sid(day.into())).channel(channel);
            reports.push(report.at(i64::from(day) * DAY).build());
        }
    }
    record_new(stores, &reports).await;
}

/// Like [`record_days`], and removes the reports from the log.
pub(super) async fn record_pruned(stores: &Retained, channels: &[&str], days: Range<u32>) {
    let end = i64::from(days.end);
    record_days(stores, channels, days).await;
    prune_all(&*stores.one, end * DAY).await;
}

/// Returns the days of which a channel has messages.
pub(super) async fn days_left(stores: &Retained, channel: &str) -> Vec<u32> {
    let mut left = Vec::new();
    for day in 0..100 {
        let key = key_on(channel, &twilio_sid(day.into()));
        let found = stores.other.message(&key).await;
        left.extend(found.expect("readable").map(|_| day));
    }
    left
}

/// Returns a range to compare with [`days_left`].
pub(super) fn days(range: Range<u32>) -> Vec<u32> {
    range.collect()
}
