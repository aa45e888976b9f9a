//! A log in which the second change of a message stands before its first, as on PostgreSQL when
//! the transaction that recorded the first one began later.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use domain::crypto::RecipientHash;
use domain::page::{MessageCursor, MessageFilter, Page, PageSize, ScanLimit};
use domain::statistics::{Interval, MessageSummary, StatusChange};
use domain::{Address, ChannelId, DeliveryStatus, LogPosition, Message, MessageKey, Timestamp};
use ports::statistics::{
    ChangePage, CountedBatch, IntervalCounts, LogBegins, MadeDay, ProblemMessage, RecipientEntry,
    StatisticsDays, StatisticsRange, StatisticsRow, StatisticsStep,
};
use ports::{Statistics, StoreError};
use testkit::builders::{key, server_secret, time};
use testkit::clock::UtcDays;
use testkit::memory::MemoryStore;

use super::{Progress, StatisticsReader};

/// A log of these changes, whose statistics are in memory.
#[derive(Clone, Default)]
struct ScriptedLog {
    log: Arc<Mutex<Vec<StatusChange>>>,
    store: MemoryStore,
}

impl ScriptedLog {
    fn push(&self, position: i64, revision: i64, status: DeliveryStatus) {
        self.log.lock().unwrap().push(StatusChange {
            position: LogPosition(position),
            key: key("SM1"),
            revision,
            arrived_at: time(revision),
            happened_at: None,
            recipient: Address::parse("+15550100001").unwrap(),
            status: status.into(),
            error: None,
        });
    }

    fn reader(&self) -> StatisticsReader {
        StatisticsReader::new(Arc::new(self.clone()), Arc::new(UtcDays), server_secret())
    }
}

#[async_trait]
impl Statistics for ScriptedLog {
    async fn changes(
        &self,
        after: Option<LogPosition>,
        _: NonZeroU16,
    ) -> Result<ChangePage, StoreError> {
        let log = self.log.lock().unwrap().clone();
        let next = log.last().map(|change| change.position).or(after);
        let changes = log.into_iter();
        Ok(ChangePage {
            changes: changes
                .filter(|change| Some(change.position) > after)
                .collect(),
            next: next.unwrap_or(LogPosition::START),
            complete: true,
            pruned: false,
            erasures: 0,
        })
    }

    async fn summaries(
        &self,
        before: &[StatusChange],
    ) -> Result<Vec<(MessageKey, MessageSummary)>, StoreError> {
        let log = self.log.lock().unwrap();
        let mut summaries = Vec::new();
        for asked in before {
            let mut earlier = log.iter().filter(|it| it.position < asked.position);
            if let Some(first) = earlier.next() {
                let mut summary = MessageSummary::begin(first);
                earlier.for_each(|change| summary.absorb(change));
                summaries.push((asked.key.clone(), summary));
            }
        }
        Ok(summaries)
    }

    async fn last_arrivals(
        &self,
        channels: &[ChannelId],
    ) -> Result<BTreeMap<ChannelId, Timestamp>, StoreError> {
        self.store.last_arrivals(channels).await
    }

    async fn statistics_position(&self) -> Result<Option<LogPosition>, StoreError> {
        self.store.statistics_position().await
    }

    async fn log_end(&self) -> Result<LogPosition, StoreError> {
        let log = self.log.lock().unwrap();
        let last = log.last().map(|change| change.position);
        Ok(last.unwrap_or(LogPosition::START))
    }

    async fn statistics_days(&self) -> Result<Option<StatisticsDays>, StoreError> {
        self.store.statistics_days().await
    }

    async fn change_days(
        &self,
        from: Option<&StatisticsDays>,
        to: &StatisticsDays,
        made: Option<&MadeDay>,
    ) -> Result<bool, StoreError> {
        self.store.change_days(from, to, made).await
    }

    async fn interval_bounds(
        &self,
        interval: Interval,
    ) -> Result<Option<(Timestamp, Timestamp)>, StoreError> {
        self.store.interval_bounds(interval).await
    }

    async fn apply_statistics(
        &self,
        from: Option<LogPosition>,
        step: &StatisticsStep,
    ) -> Result<bool, StoreError> {
        self.store.apply_statistics(from, step).await
    }

    async fn add_statistics(&self, changes: &IntervalCounts) -> Result<(), StoreError> {
        self.store.add_statistics(changes).await
    }

    async fn add_batch(&self, batch: &CountedBatch) -> Result<bool, StoreError> {
        self.store.add_batch(batch).await
    }

    async fn list_problems(&self, problems: &[ProblemMessage]) -> Result<(), StoreError> {
        self.store.list_problems(problems).await
    }

    async fn problem_messages(
        &self,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: PageSize,
        scan: ScanLimit,
    ) -> Result<Page<Message, MessageCursor>, StoreError> {
        self.store.problem_messages(filter, after, size, scan).await
    }

    async fn list_recipients(&self, entries: &[RecipientEntry]) -> Result<(), StoreError> {
        self.store.list_recipients(entries).await
    }

    async fn prune_recipients(&self, limit: NonZeroU16) -> Result<u64, StoreError> {
        self.store.prune_recipients(limit).await
    }

    async fn messages_to(
        &self,
        hash: RecipientHash,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: PageSize,
    ) -> Result<Page<Message, MessageCursor>, StoreError> {
        self.store.messages_to(hash, filter, after, size).await
    }

    async fn reset_statistics(&self, log_begins: Option<LogBegins>) -> Result<(), StoreError> {
        self.store.reset_statistics(log_begins).await
    }

    async fn read_statistics(
        &self,
        range: &StatisticsRange,
    ) -> Result<Vec<StatisticsRow>, StoreError> {
        self.store.read_statistics(range).await
    }

    async fn prune_statistics(
        &self,
        interval: Interval,
        before: Timestamp,
        limit: NonZeroU16,
    ) -> Result<u64, StoreError> {
        self.store.prune_statistics(interval, before, limit).await
    }
}

#[tokio::test]
async fn message_whose_second_change_another_reader_counted_is_counted_once() {
    let log = ScriptedLog::default();
    let (one, other) = (log.reader(), log.reader());
    assert_eq!(other.step().await.unwrap(), Progress::UpToDate);
    log.push(10, 2, DeliveryStatus::Delivered);
    assert_eq!(one.step().await.unwrap(), Progress::UpToDate);
    log.push(20, 1, DeliveryStatus::Sent);
    assert_eq!(other.step().await.unwrap(), Progress::LeftToAnother);
    assert_eq!(other.step().await.unwrap(), Progress::UpToDate);
    let range = StatisticsRange {
        interval: Interval::Day,
        from: time(0),
        until: time(1),
        channel: None,
    };
    let rows = log.read_statistics(&range).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].counts.total_messages(), 1);
    assert_eq!(rows[0].counts.total_reports(), 2);
}
