//! What these tests have in common.

use std::num::NonZeroU32;

use domain::{Effect, LogEntry, Report};
use ports::retention::Pruning;

use super::RetainingStore;
use crate::builders::{report, time, twilio_sid};
use crate::contract::Stores;
use crate::contract::log::Reader;
use crate::contract::reports::record;

pub(super) type Retained = Stores<dyn RetainingStore>;

pub(super) const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// Two reports of each of four days, the first days first.
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

/// Removes what is too old, step by step.
pub(super) async fn prune_all(store: &dyn RetainingStore, before: i64) {
    for _ in 0..100 {
        if prune_reports(store, before, 3).await.done {
            return;
        }
    }
    panic!("it never ends");
}

pub(super) async fn prune_messages(store: &dyn RetainingStore, before: i64, rows: u32) -> Pruning {
    let pruned = store.prune_messages(time(before), budget(rows)).await;
    pruned.expect("the store is there")
}
