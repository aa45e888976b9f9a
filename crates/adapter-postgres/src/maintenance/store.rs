//! The port [`Maintenance`]; its statements are in the other modules.

use std::num::NonZeroU32;

use async_trait::async_trait;
use domain::page::{Page, PageSize};
use domain::{Erasure, ErasureId, MessageKey, Recipient, RetentionDays, Timestamp};
use ports::maintenance::{ErasureOrder, Pruning, RetentionClock, RetentionKind, RetentionRun};
use ports::{Maintenance, StoreError};
use sql_rows::access::AUDIT_LOG;
use sql_rows::erasures::ERASURES;
use sql_rows::retention::pruning;
use sql_rows::time;

use crate::PostgresStore;
use crate::error::store_error;
use crate::maintenance::partitions;
use crate::retry;
use crate::runtime::{Operation as _, Query as _};

const REPORTS: &str = "reports";
const REPORT_LOG: &str = "report_log";
const MESSAGES: &str = "messages";
const DELIVERIES: &str = "deliveries";
const RUNS: &str = "retention_runs";

#[async_trait]
impl Maintenance for PostgresStore {
    async fn make_partitions(&self, today: Timestamp) -> Result<u32, StoreError> {
        let today = today.to_date_time().date();
        let made = async {
            let mut connection = self.pool.acquire().await?;
            partitions::make(&mut connection, today).await
        };
        made.run(&self.runtime, "create partitions", REPORTS).await
    }

    async fn prune_reports(
        &self,
        before: Timestamp,
        budget: NonZeroU32,
    ) -> Result<Pruning, StoreError> {
        let pruned = self.try_prune_reports(before.to_date_time().date(), budget);
        pruned.run(&self.runtime, "prune reports", REPORTS).await
    }

    async fn prune_messages(
        &self,
        now: Timestamp,
        keep: RetentionDays,
        budget: NonZeroU32,
    ) -> Result<Pruning, StoreError> {
        let pruned = self.try_prune_messages(now, keep, budget);
        pruned.run(&self.runtime, "prune messages", MESSAGES).await
    }

    async fn prune_deliveries(
        &self,
        before: Timestamp,
        budget: NonZeroU32,
    ) -> Result<Pruning, StoreError> {
        let rows = self.try_prune_deliveries(before, budget);
        let rows = rows.run(&self.runtime, "prune deliveries", DELIVERIES);
        Ok(pruning(rows.await?, budget))
    }

    async fn prune_audit(
        &self,
        before: Timestamp,
        budget: NonZeroU32,
    ) -> Result<Pruning, StoreError> {
        let rows = self.try_prune_audit(before, budget);
        let rows = rows.run(&self.runtime, "prune audit log", AUDIT_LOG);
        Ok(pruning(rows.await?, budget))
    }

    async fn erase_deliveries(
        &self,
        messages: &[MessageKey],
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        retry::again(|| {
            self.try_erase_deliveries(messages, now)
                .in_time(&self.runtime, "erase bodies")
        })
        .await
        .map_err(store_error(DELIVERIES))
    }

    async fn retention_clock(
        &self,
        kind: RetentionKind,
        _: Timestamp,
    ) -> Result<RetentionClock, StoreError> {
        let clock = self.clock_and_last_run(kind);
        let (now, run) = clock.run(&self.runtime, "read retention run", RUNS).await?;
        Ok(RetentionClock {
            now: time(now, RUNS, "now")?,
            last_run: run.map(RetentionRun::try_from).transpose()?,
        })
    }

    async fn note_retention_run(
        &self,
        kind: RetentionKind,
        run: RetentionRun,
    ) -> Result<(), StoreError> {
        let stored = self.store_run(kind, run);
        stored.run(&self.runtime, "store retention run", RUNS).await
    }

    async fn has_older(
        &self,
        kind: RetentionKind,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let older = self.try_has_older(kind, before, now);
        older.run(&self.runtime, "find expired data", RUNS).await
    }

    async fn first_report(&self) -> Result<Option<Timestamp>, StoreError> {
        let first = self.first_arrival();
        let first = first.run(&self.runtime, "find first report", RUNS).await?;
        first
            .map(|first| time(first, REPORTS, "arrived_at"))
            .transpose()
    }

    async fn release_reports_after(&self, now: Timestamp) -> Result<(), StoreError> {
        let released = self.try_release_reports_after(now);
        released
            .run(&self.runtime, "release reports", REPORT_LOG)
            .await
    }

    async fn begin_erasure(
        &self,
        id: ErasureId,
        order: &ErasureOrder,
        recipient: &Recipient,
    ) -> Result<(), StoreError> {
        let begun = self.insert_erasure(id, order, recipient);
        begun.run(&self.runtime, "begin erasure", ERASURES).await
    }

    async fn continue_erasure(
        &self,
        id: ErasureId,
        budget: NonZeroU32,
        now: Timestamp,
    ) -> Result<Option<Erasure>, StoreError> {
        retry::again(|| {
            self.try_erasure_step(id, budget, now)
                .in_time(&self.runtime, "continue erasure")
        })
        .await?;
        self.erasure(id).await
    }

    async fn unfinished_erasure(&self) -> Result<Option<ErasureId>, StoreError> {
        let id = self.unfinished_erasure_id();
        let id = id.run(&self.runtime, "find unfinished erasure", ERASURES);
        Ok(id.await?.map(ErasureId))
    }

    async fn erasure(&self, id: ErasureId) -> Result<Option<Erasure>, StoreError> {
        let row = self.erasure_row(id);
        let row = row.run(&self.runtime, "find erasure", ERASURES).await?;
        row.map(Erasure::try_from).transpose()
    }

    async fn erasures(
        &self,
        after: Option<ErasureId>,
        size: PageSize,
    ) -> Result<Page<Erasure, ErasureId>, StoreError> {
        let rows = self.erasure_rows(after, size);
        let rows = rows.run(&self.runtime, "list erasures", ERASURES).await?;
        let erasures = rows.into_iter().map(Erasure::try_from);
        let erasures = erasures.collect::<Result<_, _>>()?;
        Ok(Page::cut(erasures, size, |erasure| erasure.id))
    }
}
