//! Statistics.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroU16;

use async_trait::async_trait;
use domain::crypto::RecipientHash;
use domain::page::{MessageCursor, MessageFilter, Page, PageSize, ScanLimit};
use domain::statistics::{Counts, Interval, MessageSummary, StatusChange};
use domain::{ChannelId, LogPosition, Message, MessageKey, Timestamp};
use ports::statistics::{
    ChangePage, CountedBatch, IntervalCounts, LogBegins, MadeDay, ProblemMessage, RecipientEntry,
    StatisticsDays, StatisticsRange, StatisticsRow, StatisticsStep,
};
use ports::{EventLog as _, Statistics, StoreError};
use uuid::Uuid;

use super::MemoryStore;
use super::reports::Reports;

#[derive(Debug, Default)]
pub(super) struct StoredStatistics {
    position: Option<LogPosition>,
    days: Option<StatisticsDays>,
    last_arrivals: BTreeMap<ChannelId, Timestamp>,
    problems: HashMap<MessageKey, ProblemMessage>,
    recipients: BTreeSet<(RecipientHash, MessageKey)>,
    /// The number and the time of the last batch of each writer.
    writers: BTreeMap<Uuid, (i64, Timestamp)>,
    counts: BTreeMap<(Interval, Timestamp, ChannelId), Counts>,
}

impl StoredStatistics {
    fn add(&mut self, changes: &IntervalCounts) {
        for (key, change) in changes {
            let counts = self.counts.entry(key.clone()).or_default();
            counts.add(change, 1);
            if counts.is_empty() {
                self.counts.remove(key);
            }
        }
    }
}

impl Reports {
    /// Adds entries to a list of problems, and removes those of messages that are gone.
    fn list_problems(
        &self,
        listed: &mut HashMap<MessageKey, ProblemMessage>,
        problems: &[ProblemMessage],
    ) {
        let problems = problems.iter();
        listed.extend(problems.map(|problem| (problem.key.clone(), problem.clone())));
        listed.retain(|key, _| self.messages.contains_key(key));
    }

    /// Adds entries to an index of recipients, and removes those of messages that are gone or whose
    /// recipient is erased.
    fn list_recipients(
        &self,
        listed: &mut BTreeSet<(RecipientHash, MessageKey)>,
        entries: &[RecipientEntry],
    ) {
        listed.extend(entries.iter().map(|entry| (entry.hash, entry.key.clone())));
        listed.retain(|(_, key)| {
            let stored = self.messages.get(key);
            stored.is_some_and(|stored| !stored.message.is_erased())
        });
    }

    fn summary_before(&self, change: &StatusChange) -> Option<MessageSummary> {
        let stored = self.messages.get(&change.key)?;
        if !stored.report_ids.contains(&change.position.0) {
            return None;
        }
        let earlier = stored
            .report_ids
            .iter()
            .take_while(|id| **id < change.position.0);
        let mut summary: Option<MessageSummary> = None;
        for id in earlier {
            let known = if let Some(logged) = self.log.get(id) {
                MessageSummary::begin(&logged.into())
            } else {
                let first = stored.message.parties.first_reported_at;
                if first >= change.arrived_at {
                    continue;
                }
                let state = stored.message.state.clone().before(change.arrived_at);
                MessageSummary::from_state(first, &state)
            };
            summary = Some(match summary {
                Some(summary) => summary.join(known),
                None => known,
            });
        }
        summary
    }
}

#[async_trait]
impl Statistics for MemoryStore {
    async fn changes(
        &self,
        after: Option<LogPosition>,
        limit: NonZeroU16,
    ) -> Result<ChangePage, StoreError> {
        let data = self.open()?;
        let log = &data.reports;
        let oldest = LogPosition(log.pruned_through);
        let from = after.unwrap_or(oldest).max(oldest);
        let mut next = log.log.range(from.0.saturating_add(1)..);
        let page = next.by_ref().take(usize::from(limit.get()));
        let changes: Vec<_> = page.map(|(_, logged)| StatusChange::from(logged)).collect();
        Ok(ChangePage {
            next: changes.last().map_or(from, |last| last.position),
            complete: next.next().is_none(),
            pruned: after.is_some_and(|after| after < oldest),
            erasures: data.finished_erasures(),
            changes,
        })
    }

    async fn summaries(
        &self,
        before: &[StatusChange],
    ) -> Result<Vec<(MessageKey, MessageSummary)>, StoreError> {
        let data = self.open()?;
        let found = before.iter().filter_map(|change| {
            let summary = data.reports.summary_before(change)?;
            Some((change.key.clone(), summary))
        });
        Ok(found.collect())
    }

    async fn last_arrivals(
        &self,
        channels: &[ChannelId],
    ) -> Result<BTreeMap<ChannelId, Timestamp>, StoreError> {
        let data = self.open()?;
        let arrivals = &data.statistics.last_arrivals;
        let known = channels
            .iter()
            .filter_map(|channel| arrivals.get_key_value(channel));
        Ok(known.map(|(channel, at)| (channel.clone(), *at)).collect())
    }

    async fn statistics_position(&self) -> Result<Option<LogPosition>, StoreError> {
        Ok(self.open()?.statistics.position)
    }

    async fn log_end(&self) -> Result<LogPosition, StoreError> {
        self.head().await
    }

    async fn statistics_days(&self) -> Result<Option<StatisticsDays>, StoreError> {
        Ok(self.open()?.statistics.days.clone())
    }

    async fn change_days(
        &self,
        from: Option<&StatisticsDays>,
        to: &StatisticsDays,
        made: Option<&MadeDay>,
    ) -> Result<bool, StoreError> {
        let statistics = &mut self.open()?.statistics;
        if statistics.days.as_ref() != from {
            return Ok(false);
        }
        statistics.days = Some(to.clone());
        if let Some(day) = made {
            let replaced = day.replaces_from..day.until;
            let counts = &mut statistics.counts;
            counts.retain(|(interval, start, _), _| {
                *interval != Interval::Day || !replaced.contains(start)
            });
            let mut made = IntervalCounts::new();
            for ((interval, start, channel), counts) in &*counts {
                if *interval == Interval::QuarterHour && (day.start..day.until).contains(start) {
                    let key = (Interval::Day, day.start, channel.clone());
                    made.entry(key).or_default().add(counts, 1);
                }
            }
            statistics.add(&made);
        }
        Ok(true)
    }

    async fn interval_bounds(
        &self,
        interval: Interval,
    ) -> Result<Option<(Timestamp, Timestamp)>, StoreError> {
        let data = self.open()?;
        let keys = data.statistics.counts.keys();
        let mut starts = keys
            .filter(|(it, ..)| *it == interval)
            .map(|(_, start, _)| *start);
        let first = starts.next();
        Ok(first.map(|first| (first, starts.next_back().unwrap_or(first))))
    }

    async fn apply_statistics(
        &self,
        from: Option<LogPosition>,
        step: &StatisticsStep,
    ) -> Result<bool, StoreError> {
        let data = &mut *self.open()?;
        let erased = data.finished_erasures() != step.erasures;
        let statistics = &mut data.statistics;
        let days = statistics.days.as_ref();
        let other = days.is_some_and(|days| days.zone != step.zone || days.next.is_some());
        if statistics.position != from || other || erased {
            return Ok(false);
        }
        data.reports
            .list_problems(&mut statistics.problems, &step.problems);
        data.reports
            .list_recipients(&mut statistics.recipients, &step.recipients);
        statistics.add(&step.counts);
        let arrivals = step.last_arrivals.iter();
        let arrivals = arrivals.map(|(channel, at)| (channel.clone(), *at));
        statistics.last_arrivals.extend(arrivals);
        statistics.position = Some(step.position);
        Ok(true)
    }

    async fn add_statistics(&self, changes: &IntervalCounts) -> Result<(), StoreError> {
        self.open()?.statistics.add(changes);
        Ok(())
    }

    async fn add_batch(&self, batch: &CountedBatch) -> Result<bool, StoreError> {
        let statistics = &mut self.open()?.statistics;
        let forget_before = batch.forget_before();
        let writers = &mut statistics.writers;
        writers.retain(|_, (_, taken_at)| *taken_at >= forget_before);
        if writers
            .get(&batch.writer)
            .is_some_and(|(number, _)| *number >= batch.number)
        {
            return Ok(false);
        }
        writers.insert(batch.writer, (batch.number, batch.taken_at));
        statistics.add(&batch.counts);
        Ok(true)
    }

    async fn list_problems(&self, problems: &[ProblemMessage]) -> Result<(), StoreError> {
        let data = &mut *self.open()?;
        let listed = &mut data.statistics.problems;
        data.reports.list_problems(listed, problems);
        Ok(())
    }

    async fn problem_messages(
        &self,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: PageSize,
        scan: ScanLimit,
    ) -> Result<Page<Message, MessageCursor>, StoreError> {
        let data = self.open()?;
        let problems = &data.statistics.problems;
        let is_listed = |message: &Message| {
            let entry = ProblemMessage::of(&message.key, &MessageSummary::of(message));
            entry.is_some() && entry.as_ref() == problems.get(&message.key)
        };
        Ok(data.reports.page(filter, after, size, scan, is_listed))
    }

    async fn list_recipients(&self, entries: &[RecipientEntry]) -> Result<(), StoreError> {
        let data = &mut *self.open()?;
        let listed = &mut data.statistics.recipients;
        data.reports.list_recipients(listed, entries);
        Ok(())
    }

    async fn messages_to(
        &self,
        hash: RecipientHash,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: PageSize,
    ) -> Result<Page<Message, MessageCursor>, StoreError> {
        let mut data = self.open()?;
        let data = &mut *data;
        let listed = &mut data.statistics.recipients;
        data.reports.list_recipients(listed, &[]);
        let is_listed = |message: &Message| listed.contains(&(hash, message.key.clone()));
        let scan = ScanLimit::MAX;
        Ok(data.reports.page(filter, after, size, scan, is_listed))
    }

    async fn prune_recipients(&self, _: NonZeroU16) -> Result<u64, StoreError> {
        let data = &mut *self.open()?;
        let listed = &mut data.statistics.recipients;
        let before = listed.len();
        data.reports.list_recipients(listed, &[]);
        Ok(u64::try_from(before - listed.len()).unwrap_or(u64::MAX))
    }

    async fn reset_statistics(&self, log_begins: Option<LogBegins>) -> Result<(), StoreError> {
        let statistics = &mut self.open()?.statistics;
        statistics.position = None;
        statistics.last_arrivals.clear();
        for ((interval, start, _), counts) in &mut statistics.counts {
            let all = std::mem::take(counts);
            counts.requests = all.requests;
            if log_begins.is_some_and(|begins| *start < begins.in_interval(*interval)) {
                counts.reports = all.reports;
                counts.gaps = all.gaps;
            }
        }
        statistics.counts.retain(|_, counts| !counts.is_empty());
        Ok(())
    }

    async fn read_statistics(
        &self,
        range: &StatisticsRange,
    ) -> Result<Vec<StatisticsRow>, StoreError> {
        let data = self.open()?;
        let rows = data.statistics.counts.iter();
        let rows = rows.filter(|((interval, start, channel), _)| {
            *interval == range.interval
                && (range.from..range.until).contains(start)
                && range.channel.as_ref().is_none_or(|only| only == channel)
        });
        let rows = rows.map(|((_, start, channel), counts)| StatisticsRow {
            start: *start,
            channel: channel.clone(),
            counts: counts.clone(),
        });
        Ok(rows.collect())
    }

    async fn prune_statistics(
        &self,
        interval: Interval,
        before: Timestamp,
        limit: NonZeroU16,
    ) -> Result<u64, StoreError> {
        let counts = &mut self.open()?.statistics.counts;
        let old = counts
            .keys()
            .filter(|(it, start, _)| *it == interval && *start < before);
        let old: Vec<_> = old.take(usize::from(limit.get())).cloned().collect();
        for key in &old {
            counts.remove(key);
        }
        Ok(u64::try_from(old.len()).unwrap_or(u64::MAX))
    }
}
