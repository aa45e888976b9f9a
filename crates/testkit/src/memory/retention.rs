//! Removing what is too old.

use std::num::NonZeroU32;

use async_trait::async_trait;
use domain::{RetentionDays, Timestamp};
use ports::retention::{Pruning, RetentionClock, RetentionKind, RetentionRun, RetentionRuns};
use ports::{Retention, StoreError};

use super::MemoryStore;

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
        let mut reports = log.log.values();
        let first_kept =
            reports.find(|logged| logged.report.arrived_at >= before && !log.is_released(logged));
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
        keep: RetentionDays,
        budget: NonZeroU32,
    ) -> Result<Pruning, StoreError> {
        Ok(self.open()?.prune_messages(now, keep, budget))
    }
}

#[async_trait]
impl RetentionRuns for MemoryStore {
    async fn clock(
        &self,
        kind: RetentionKind,
        now: Timestamp,
    ) -> Result<RetentionClock, StoreError> {
        let last_run = self.open()?.runs.get(kind.as_str()).copied();
        Ok(RetentionClock { now, last_run })
    }

    async fn note(&self, kind: RetentionKind, run: RetentionRun) -> Result<(), StoreError> {
        self.open()?.runs.insert(kind.as_str(), run);
        Ok(())
    }

    async fn has_older(
        &self,
        kind: RetentionKind,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let data = self.open()?;
        Ok(match kind {
            RetentionKind::Reports => {
                let mut logged = data.reports.log.values();
                logged.any(|it| it.report.arrived_at < before)
            }
            RetentionKind::Messages => data.has_older_messages(before, now),
            RetentionKind::Deliveries => data.subscriptions.has_finished_before(before),
        })
    }

    async fn first_report(&self) -> Result<Option<Timestamp>, StoreError> {
        let data = self.open()?;
        let log = &data.reports;
        let first = log.log.values().find(|logged| !log.is_released(logged));
        Ok(first.map(|logged| logged.report.arrived_at))
    }

    async fn release_reports_after(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut data = self.open()?;
        let log = &mut data.reports;
        log.released = Some((log.last_id, now));
        Ok(())
    }
}

fn pruning(rows: u32, budget: NonZeroU32) -> Pruning {
    Pruning {
        rows: rows.into(),
        days: 0,
        done: rows < budget.get(),
    }
}
