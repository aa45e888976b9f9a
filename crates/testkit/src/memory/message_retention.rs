//! Retention scans over the messages.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use domain::retention_days::DAY_MICROS;
use domain::{ChannelId, MessageKey, RetentionDays, Timestamp};
use ports::maintenance::Pruning;

use super::Data;
use super::reports::Reports;

/// The messages of a scan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    /// All, by first report, for a service with this retention.
    All(RetentionDays),
    /// Those of a channel with a shorter retention.
    Channel(ChannelId),
}

/// The position of a message in a scan.
type ScanPosition = (Option<Timestamp>, MessageKey);

#[derive(Debug)]
struct Scan {
    keep: RetentionDays,
    begun_at: Timestamp,
    finished: bool,
    after: Option<ScanPosition>,
}

impl Scan {
    const fn begin(keep: RetentionDays, now: Timestamp) -> Self {
        Self {
            keep,
            begun_at: now,
            finished: false,
            after: None,
        }
    }

    /// Returns whether the next scan is due.
    fn is_due(&self, keep: RetentionDays, now: Timestamp) -> bool {
        let of_today = self.begun_at > now.plus_micros(-DAY_MICROS) && self.begun_at <= now;
        self.keep != keep || (self.finished && !of_today)
    }
}

/// The positions of the scans.
#[derive(Debug, Default)]
pub(super) struct Scans(BTreeMap<Scope, Scan>);

impl Data {
    pub(super) fn prune_messages(
        &mut self,
        now: Timestamp,
        keep: RetentionDays,
        budget: NonZeroU32,
    ) -> Pruning {
        let own = self.channels.keep_messages_days();
        let mut scopes = vec![(Scope::All(keep), keep)];
        let shorter = own.iter().filter(|(_, days)| **days < keep);
        scopes.extend(shorter.map(|(id, days)| (Scope::Channel(id.clone()), *days)));
        let budget = budget.get() as usize;
        for (scope, keep) in scopes {
            let scan = self.scans.0.entry(scope.clone());
            let scan = scan.or_insert_with(|| Scan::begin(keep, now));
            if scan.is_due(keep, now) {
                *scan = Scan::begin(keep, now);
            }
            if scan.finished {
                continue;
            }
            let mut examined =
                next_messages(&self.reports, &scope, keep.cut(now), scan.after.as_ref());
            examined.truncate(budget);
            scan.finished = examined.len() < budget;
            scan.after = examined.last().cloned();
            let mut rows = 0;
            for (_, key) in &examined {
                let keep = own.get(&key.channel).map_or(keep, |own| keep.max(*own));
                if self.reports.is_old(key, keep.cut(now)) {
                    self.reports.messages.remove(key);
                    self.reports.forget_aliases(key);
                    rows += 1;
                }
            }
            return Pruning {
                rows,
                days: 0,
                done: false,
            };
        }
        Pruning {
            rows: 0,
            days: 0,
            done: true,
        }
    }
}

impl Data {
    /// Returns whether a message was first reported before `before`, or before the shortest
    /// retention of a channel at `now`.
    pub(super) fn has_older_messages(&self, before: Timestamp, now: Timestamp) -> bool {
        let own = self.channels.keep_messages_days();
        let cut = own.values().map(|keep| keep.cut(now)).max();
        let cut = cut.map_or(before, |cut| cut.max(before));
        let mut messages = self.reports.messages.values();
        messages.any(|stored| stored.message.parties.first_reported_at < cut)
    }
}

/// Returns the remaining messages in the order of the scan.
fn next_messages(
    reports: &Reports,
    scope: &Scope,
    cut: Timestamp,
    after: Option<&ScanPosition>,
) -> Vec<ScanPosition> {
    let messages = reports.messages.iter();
    let mut positions: Vec<_> = messages
        .filter_map(|(key, stored)| match scope {
            Scope::All(_) => {
                let first = stored.message.parties.first_reported_at;
                (first < cut).then(|| (Some(first), key.clone()))
            }
            Scope::Channel(id) => (key.channel == *id).then(|| (None, key.clone())),
        })
        .filter(|position| after.is_none_or(|after| position > after))
        .collect();
    positions.sort();
    positions
}
