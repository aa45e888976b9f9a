//! The port of statistics.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use async_trait::async_trait;
use domain::crypto::RecipientHash;
use domain::page::{MessageCursor, MessageFilter, Page, PageSize, ScanLimit};
use domain::statistics::{Interval, MessageSummary, StatusChange};
use domain::{ChannelId, LogPosition, Message, MessageKey, Timestamp};
use ports::statistics::{
    ChangePage, CountedBatch, IntervalCounts, LogBegins, MadeDay, ProblemMessage, RecipientEntry,
    StatisticsDays, StatisticsRange, StatisticsRow, StatisticsStep,
};
use ports::{EventLog as _, Statistics, StoreError};
use sql_rows::log::LogSource as _;
use sql_rows::statistics::{arrivals, change_page, days, summaries};
use sql_rows::values::optional_time;

use crate::SqliteStore;
use crate::rows::PageRows;
use crate::runtime::Query as _;

const STATISTICS: &str = "statistics";
const PROBLEMS: &str = "problem_messages";
const RECIPIENTS: &str = "recipients_by_day";
const ARRIVALS: &str = "statistics_arrivals";
const POSITION: &str = "statistics_position";

#[async_trait]
impl Statistics for SqliteStore {
    async fn changes(
        &self,
        after: Option<LogPosition>,
        limit: NonZeroU16,
    ) -> Result<ChangePage, StoreError> {
        // Asked before the reports are read: what is erased from now on is noticed.
        let erasures = self.finished_erasures();
        let erasures = erasures
            .run(&self.runtime, "count erasures", STATISTICS)
            .await?;
        let rows = self.change_rows(after, limit);
        let rows = rows.run(&self.runtime, "read changes", "reports").await?;
        // Asked after the reports were read: what is pruned from now on is not missing above.
        let pruned_through = self.pruned_through().await?;
        change_page(rows, after, limit.get(), pruned_through, erasures)
    }

    async fn summaries(
        &self,
        before: &[StatusChange],
    ) -> Result<Vec<(MessageKey, MessageSummary)>, StoreError> {
        let messages = self.message_reports(before);
        let messages = messages
            .run(&self.runtime, "find reports of messages", "messages")
            .await?;
        summaries(self, messages, before).await
    }

    async fn last_arrivals(
        &self,
        channels: &[ChannelId],
    ) -> Result<BTreeMap<ChannelId, Timestamp>, StoreError> {
        let rows = self.arrival_rows(channels);
        let rows = rows
            .run(&self.runtime, "read last arrivals", ARRIVALS)
            .await?;
        arrivals(rows)
    }

    async fn statistics_position(&self) -> Result<Option<LogPosition>, StoreError> {
        let position = self.try_statistics_position();
        position
            .run(&self.runtime, "read position of statistics", POSITION)
            .await
    }

    async fn log_end(&self) -> Result<LogPosition, StoreError> {
        self.head().await
    }

    async fn statistics_days(&self) -> Result<Option<StatisticsDays>, StoreError> {
        let row = self.days_row();
        let row = row
            .run(&self.runtime, "read days of statistics", POSITION)
            .await?;
        days(row)
    }

    async fn change_days(
        &self,
        from: Option<&StatisticsDays>,
        to: &StatisticsDays,
        made: Option<&MadeDay>,
    ) -> Result<bool, StoreError> {
        let changed = self.try_change_days(from, to, made);
        self.in_store_runtime("change days of statistics", changed)
            .await
    }

    async fn interval_bounds(
        &self,
        interval: Interval,
    ) -> Result<Option<(Timestamp, Timestamp)>, StoreError> {
        let bounds = self.try_interval_bounds(interval);
        let (first, last) = bounds
            .run(&self.runtime, "read bounds of statistics", STATISTICS)
            .await?;
        let first = optional_time(first, STATISTICS, "starts_at")?;
        Ok(first.zip(optional_time(last, STATISTICS, "starts_at")?))
    }

    async fn apply_statistics(
        &self,
        from: Option<LogPosition>,
        step: &StatisticsStep,
    ) -> Result<bool, StoreError> {
        // A task of the store's runtime, because the reader's thread has a low priority, and every
        // other writer waits while this one has begun.
        let (store, step) = (self.clone(), step.clone());
        let applying = self.runtime.spawn(async move {
            let applied = store.try_apply_step(from, &step);
            store.in_store_runtime("apply statistics", applied).await
        });
        applying.await.unwrap_or_else(|error| {
            let why = format!("the task that applies statistics ended: {error}");
            Err(StoreError::Unavailable(why.into()))
        })
    }

    async fn add_statistics(&self, changes: &IntervalCounts) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        self.in_store_runtime("add statistics", self.try_add_counts(changes))
            .await
    }

    async fn add_batch(&self, batch: &CountedBatch) -> Result<bool, StoreError> {
        self.in_store_runtime("add batch of statistics", self.try_add_batch(batch))
            .await
    }

    async fn list_problems(&self, problems: &[ProblemMessage]) -> Result<(), StoreError> {
        let listed = self.try_list_problems(problems);
        listed.run(&self.runtime, "list problems", PROBLEMS).await
    }

    async fn problem_messages(
        &self,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: PageSize,
        scan: ScanLimit,
    ) -> Result<Page<Message, MessageCursor>, StoreError> {
        let page = self.problem_rows(filter, after, size, scan);
        let page = page
            .run(&self.runtime, "read list of problems", PROBLEMS)
            .await?;
        page.into_page(size)
    }

    async fn list_recipients(&self, entries: &[RecipientEntry]) -> Result<(), StoreError> {
        let listed = self.try_list_recipients(entries);
        listed
            .run(&self.runtime, "list recipients", RECIPIENTS)
            .await
    }

    async fn messages_to(
        &self,
        hash: RecipientHash,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: PageSize,
    ) -> Result<Page<Message, MessageCursor>, StoreError> {
        let rows = self.rows_of_recipient(hash, filter, after, size);
        let rows = rows
            .run(&self.runtime, "read messages of a recipient", RECIPIENTS)
            .await?;
        let scan_end = None;
        PageRows { rows, scan_end }.into_page(size)
    }

    async fn prune_recipients(&self, limit: NonZeroU16) -> Result<u64, StoreError> {
        let pruned = self.try_prune_recipients(limit);
        pruned
            .run(&self.runtime, "prune recipients", RECIPIENTS)
            .await
    }

    async fn reset_statistics(&self, log_begins: Option<LogBegins>) -> Result<(), StoreError> {
        let reset = self.try_reset_statistics(log_begins);
        reset
            .run(&self.runtime, "reset statistics", STATISTICS)
            .await
    }

    async fn read_statistics(
        &self,
        range: &StatisticsRange,
    ) -> Result<Vec<StatisticsRow>, StoreError> {
        let rows = self.counts_rows(range);
        let rows = rows
            .run(&self.runtime, "read statistics", STATISTICS)
            .await?;
        let mut rows = rows
            .into_iter()
            .map(StatisticsRow::try_from)
            .collect::<Result<Vec<_>, _>>()?;
        rows.retain(|row| !row.counts.is_empty());
        Ok(rows)
    }

    async fn prune_statistics(
        &self,
        interval: Interval,
        before: Timestamp,
        limit: NonZeroU16,
    ) -> Result<u64, StoreError> {
        let pruned = self.try_prune_statistics(interval, before, limit);
        pruned
            .run(&self.runtime, "prune statistics", STATISTICS)
            .await
    }
}
