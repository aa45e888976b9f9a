//! Removing what is too old.

use std::num::NonZeroU32;

use async_trait::async_trait;
use domain::{KeepDays, Timestamp};
use ports::retention::Pruning;
use ports::{Retention, StoreError};

use super::MemoryStore;

/// A report that arrived this much after the time before which reports go, or
/// later, has its time from a clock that was wrong.
const YEAR_MICROS: i64 = 366 * 24 * 60 * 60 * 1_000_000;

#[async_trait]
impl Retention for MemoryStore {
    async fn make_partitions(&self, _: Timestamp) -> Result<u32, StoreError> {
        self.open().map(|_| 0)
    }

    async fn prune_reports(
        &self,
        before: Timestamp,
        budget: NonZeroU32,
    ) -> Result<Pruning, StoreError> {
        let mut data = self.open()?;
        let log = &mut data.reports;
        let kept = before..before.plus_micros(YEAR_MICROS);
        let mut reports = log.log.values();
        let first_kept = reports.find(|logged| kept.contains(&logged.report.arrived_at));
        let end = first_kept.map_or(log.last_id + 1, |logged| logged.id);
        let mut rows = 0;
        while let Some(oldest) = log.log.first_entry()
            && *oldest.key() < end
        {
            if rows == budget.get() {
                break;
            }
            log.pruned_through = oldest.remove().id;
            rows += 1;
        }
        Ok(pruning(rows, budget))
    }

    async fn prune_messages(
        &self,
        now: Timestamp,
        keep: KeepDays,
        budget: NonZeroU32,
    ) -> Result<Pruning, StoreError> {
        Ok(self.open()?.prune_messages(now, keep, budget))
    }
}

fn pruning(rows: u32, budget: NonZeroU32) -> Pruning {
    Pruning {
        rows: rows.into(),
        days: 0,
        done: rows < budget.get(),
    }
}
