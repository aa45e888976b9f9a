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
enum Route {
    /// All, by first report, for a service with this retention.
    All(RetentionDays),
    /// Those of a channel with a shorter retention.
    Channel(ChannelId),
}

/// The position of a message in a scan.
type DeliveryOrder = (Option<Timestamp>, MessageKey);

#[derive(Debug)]
struct Sweep {
    keep: RetentionDays,
    begun_at: Timestamp,
    finished: bool,
    after: Option<DeliveryOrder>,
}

impl Sweep {
    const fn begin(keep: RetentionDays, now: Timestamp) -> Self {
        Self {
            keep,
            begun_at: now,
            finished: false,
            after: None,
        }
    }

    /// Returns whether the next scan is due.
    fn is_over(&self, keep: RetentionDays, now: Timestamp) -> bool {
        let of_today = self.begun_at > now.plus_micros(-DAY_MICROS) && self.begun_at <= now;
        self.keep != keep || (self.finished && !of_today)
    }
}

/// The positions of the scans.
#[derive(Debug, Default)]
pub(super) struct Sweeps(BTreeMap<Route, Sweep>);

impl Data {
    pub(super) fn prune_messages(
        &mut self,
        now: Timestamp,
        keep: RetentionDays,
        budget: NonZeroU32,
    ) -> Pruning {
        let own = self.channels.keep_messages_days();
        let mut routes = vec![(Route::All(keep), keep)];
        let shorter = own.iter().filter(|(_, days)| **days < keep);
        routes.extend(shorter.map(|(id, days)| (Route::Channel(id.clone()), *days)));
        let budget = budget.get() as usize;
        for (route, keep) in routes {
            let sweep = self.sweeps.0.entry(route.clone());
            let sweep = sweep.or_insert_with(|| Sweep::begin(keep, now));
            if sweep.is_over(keep, now) {
                *sweep = Sweep::begin(keep, now);
            }
            if sweep.finished {
                continue;
            }
            let mut looked = look(&self.reports, &route, keep.cut(now), sweep.after.as_ref());
            looked.truncate(budget);
            sweep.finished = looked.len() < budget;
            sweep.after = looked.last().cloned();
            let mut rows = 0;
            for (_, key) in &looked {
                let keep = own.get(&key.channel).map_or(keep, |own| keep.max(*own));
                if self.reports.is_old(key, keep.cut(now)) {
                    self.reports.messages.remove(key);
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
        messages.any(|kept| kept.message.parties.first_reported_at < cut)
    }
}

/// Returns the remaining messages in the order of the scan.
fn look(
    reports: &Reports,
    route: &Route,
    cut: Timestamp,
    after: Option<&DeliveryOrder>,
) -> Vec<DeliveryOrder> {
    let messages = reports.messages.iter();
    let mut places: Vec<_> = messages
        .filter_map(|(key, kept)| match route {
            Route::All(_) => {
                let first = kept.message.parties.first_reported_at;
                (first < cut).then(|| (Some(first), key.clone()))
            }
            Route::Channel(id) => (key.channel == *id).then(|| (None, key.clone())),
        })
        .filter(|place| after.is_none_or(|after| place > after))
        .collect();
    places.sort();
    places
}
