//! Retention and erasure.

use std::num::NonZeroU32;

use async_trait::async_trait;
use domain::page::{Page, PageSize};
use domain::{Erasure, ErasureId, MessageKey, Recipient, RetentionDays, Timestamp};
use ports::maintenance::{ErasureOrder, Pruning, RetentionClock, RetentionKind, RetentionRun};
use ports::{Maintenance, StoreError};

use super::erasures::ErasureProgress;
use super::{Data, MemoryStore};

#[async_trait]
impl Maintenance for MemoryStore {
    async fn make_partitions(&self, _: Timestamp) -> Result<u32, StoreError> {
        self.open().map(|_| 0)
    }

    async fn prune_reports(
        &self,
        before: Timestamp,
        budget: NonZeroU32,
    ) -> Result<Pruning, StoreError> {
        let mut data = self.open()?;
        if data.log_locked {
            return Err(StoreError::Unavailable("the log is locked".into()));
        }
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

    async fn prune_deliveries(
        &self,
        before: Timestamp,
        budget: NonZeroU32,
    ) -> Result<Pruning, StoreError> {
        Ok(self.open()?.subscriptions.prune(before, budget))
    }

    async fn prune_audit(
        &self,
        before: Timestamp,
        budget: NonZeroU32,
    ) -> Result<Pruning, StoreError> {
        Ok(pruning(
            self.open()?.access.prune_audit(before, budget),
            budget,
        ))
    }

    async fn erase_deliveries(
        &self,
        messages: &[MessageKey],
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        Ok(self.open()?.subscriptions.erase_deliveries(messages, now))
    }

    async fn retention_clock(
        &self,
        kind: RetentionKind,
        now: Timestamp,
    ) -> Result<RetentionClock, StoreError> {
        let last_run = self.open()?.runs.get(kind.as_str()).copied();
        Ok(RetentionClock { now, last_run })
    }

    async fn note_retention_run(
        &self,
        kind: RetentionKind,
        run: RetentionRun,
    ) -> Result<(), StoreError> {
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
            RetentionKind::Audit => data.access.has_audit_before(before),
            RetentionKind::ForwardedRequests => data.forwarding.has_arrived_before(before),
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

    async fn begin_erasure(
        &self,
        id: ErasureId,
        order: &ErasureOrder,
        recipient: &Recipient,
    ) -> Result<(), StoreError> {
        let mut data = self.open()?;
        let started = || ErasureProgress::new(id, order, recipient);
        data.erasures.entry(id).or_insert_with(started);
        Ok(())
    }

    async fn continue_erasure(
        &self,
        id: ErasureId,
        budget: NonZeroU32,
        now: Timestamp,
    ) -> Result<Option<Erasure>, StoreError> {
        let mut data = self.open()?;
        let Data {
            erasures,
            reports,
            subscriptions,
            ..
        } = &mut *data;
        let Some(progress) = erasures.get_mut(&id) else {
            return Ok(None);
        };
        let budget = usize::try_from(budget.get()).unwrap_or(usize::MAX);
        progress.step(reports, subscriptions, budget, now);
        Ok(Some(progress.erasure.clone()))
    }

    async fn unfinished_erasure(&self) -> Result<Option<ErasureId>, StoreError> {
        let data = self.open()?;
        let mut all = data.erasures.values();
        let first = all.find(|kept| kept.erasure.finished_at.is_none());
        Ok(first.map(|kept| kept.erasure.id))
    }

    async fn erasure(&self, id: ErasureId) -> Result<Option<Erasure>, StoreError> {
        let data = self.open()?;
        Ok(data.erasures.get(&id).map(|kept| kept.erasure.clone()))
    }

    async fn erasures(
        &self,
        after: Option<ErasureId>,
        size: PageSize,
    ) -> Result<Page<Erasure, ErasureId>, StoreError> {
        let data = self.open()?;
        let all = data.erasures.values().rev();
        let next = all.filter(|kept| after.is_none_or(|after| kept.erasure.id < after));
        let next = next.take(usize::from(size.get()) + 1);
        let items = next.map(|kept| kept.erasure.clone()).collect();
        Ok(Page::cut(items, size, |erasure| erasure.id))
    }
}

fn pruning(rows: u32, budget: NonZeroU32) -> Pruning {
    Pruning {
        rows: rows.into(),
        days: 0,
        done: rows < budget.get(),
    }
}
