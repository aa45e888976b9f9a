//! The port [`Maintenance`], put together from the modules that implement its parts.

use std::num::NonZeroU32;

use async_trait::async_trait;
use domain::page::{Page, PageSize};
use domain::{Erasure, ErasureId, MessageKey, Recipient, RetentionDays, Timestamp};
use ports::maintenance::{ErasureOrder, Pruning, RetentionClock, RetentionKind, RetentionRun};
use ports::{Maintenance, StoreError};

use crate::PostgresStore;

#[async_trait]
impl Maintenance for PostgresStore {
    async fn make_partitions(&self, today: Timestamp) -> Result<u32, StoreError> {
        self.make_partitions(today).await
    }

    async fn prune_reports(
        &self,
        before: Timestamp,
        budget: NonZeroU32,
    ) -> Result<Pruning, StoreError> {
        self.prune_reports(before, budget).await
    }

    async fn prune_messages(
        &self,
        now: Timestamp,
        keep: RetentionDays,
        budget: NonZeroU32,
    ) -> Result<Pruning, StoreError> {
        self.prune_messages(now, keep, budget).await
    }

    async fn prune_deliveries(
        &self,
        before: Timestamp,
        budget: NonZeroU32,
    ) -> Result<Pruning, StoreError> {
        self.prune_deliveries(before, budget).await
    }

    async fn forget_bodies(
        &self,
        messages: &[MessageKey],
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.forget_bodies(messages, now).await
    }

    async fn retention_clock(
        &self,
        kind: RetentionKind,
        now: Timestamp,
    ) -> Result<RetentionClock, StoreError> {
        self.retention_clock(kind, now).await
    }

    async fn note_retention_run(
        &self,
        kind: RetentionKind,
        run: RetentionRun,
    ) -> Result<(), StoreError> {
        self.note_retention_run(kind, run).await
    }

    async fn has_older(
        &self,
        kind: RetentionKind,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.has_older(kind, before, now).await
    }

    async fn first_report(&self) -> Result<Option<Timestamp>, StoreError> {
        self.first_report().await
    }

    async fn release_reports_after(&self, now: Timestamp) -> Result<(), StoreError> {
        self.release_reports_after(now).await
    }

    async fn begin_erasure(
        &self,
        id: ErasureId,
        order: &ErasureOrder,
        recipient: &Recipient,
    ) -> Result<(), StoreError> {
        self.begin_erasure(id, order, recipient).await
    }

    async fn continue_erasure(
        &self,
        id: ErasureId,
        budget: NonZeroU32,
        now: Timestamp,
    ) -> Result<Option<Erasure>, StoreError> {
        self.continue_erasure(id, budget, now).await
    }

    async fn unfinished_erasure(&self) -> Result<Option<ErasureId>, StoreError> {
        self.unfinished_erasure().await
    }

    async fn erasure(&self, id: ErasureId) -> Result<Option<Erasure>, StoreError> {
        self.erasure(id).await
    }

    async fn erasures(
        &self,
        after: Option<ErasureId>,
        size: PageSize,
    ) -> Result<Page<Erasure, ErasureId>, StoreError> {
        self.erasures(after, size).await
    }
}
