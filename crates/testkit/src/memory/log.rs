//! The log and its cursors.

use std::num::NonZeroU16;

use async_trait::async_trait;
use domain::{LogEntry, LogPosition, LoggedReport, MessageState, Timestamp};
use ports::event_log::{Cursor, LogPage, LogRead, Remaining};
use ports::{EventLog, StoreError};

use super::MemoryStore;
use super::reports::Reports;

impl Reports {
    /// Returns the state that the reports of lower revisions lead to.
    fn before(&self, logged: &LoggedReport) -> MessageState {
        let Some(kept) = self.messages.get(&logged.report.key) else {
            return MessageState::default();
        };
        let earlier = kept.report_ids.iter().take_while(|id| **id != logged.id);
        let mut state = MessageState::default();
        for id in earlier {
            state = state.join(match self.log.get(id) {
                Some(earlier) => MessageState::of(&earlier.report),
                None => kept.message.state.clone().before(logged.report.arrived_at),
            });
        }
        state
    }
}

#[async_trait]
impl EventLog for MemoryStore {
    async fn read(
        &self,
        after: Option<LogPosition>,
        limit: NonZeroU16,
    ) -> Result<LogRead, StoreError> {
        let mut data = self.open()?;
        data.log_reads += 1;
        let log = &data.reports;
        let oldest = LogPosition(log.pruned_through);
        let after = after.unwrap_or(oldest);
        if after < oldest {
            return Ok(LogRead::Pruned { oldest });
        }
        let limit = usize::from(limit.get());
        let mut next = log.log.range(after.0.saturating_add(1)..);
        let entries: Vec<_> = next
            .by_ref()
            .take(limit)
            .map(|(id, report)| LogEntry {
                position: LogPosition(*id),
                report: report.clone(),
                before: log.before(report),
            })
            .collect();
        Ok(LogRead::Page(LogPage {
            next: entries.last().map_or(after, |last| last.position),
            complete: next.next().is_none(),
            entries,
        }))
    }

    async fn head(&self) -> Result<LogPosition, StoreError> {
        Ok(LogPosition(self.open()?.reports.last_id))
    }

    async fn seek(&self, moment: Timestamp) -> Result<LogPosition, StoreError> {
        let data = self.open()?;
        let log = &data.reports;
        let mut reports = log.log.values();
        let first = reports.find(|logged| logged.report.arrived_at >= moment);
        let before = first.map_or(log.last_id, |first| first.id - 1);
        Ok(LogPosition(before.max(log.pruned_through)))
    }

    async fn count_after(
        &self,
        position: LogPosition,
        at_most: NonZeroU16,
    ) -> Result<Remaining, StoreError> {
        let data = self.open()?;
        let log = &data.reports;
        let after = log.log.range(position.0.saturating_add(1)..);
        let after: Vec<_> = after
            .take(usize::from(at_most.get()))
            .map(|(_, logged)| logged.report.arrived_at)
            .collect();
        Ok(Remaining {
            reports: u64::try_from(after.len()).unwrap_or(u64::MAX),
            since: after.iter().min().copied(),
            pruned: position.0 < log.pruned_through,
        })
    }

    async fn cursor(&self, name: &str) -> Result<Option<LogPosition>, StoreError> {
        Ok(self.open()?.cursors.get(name).copied())
    }

    async fn advance_cursor(
        &self,
        name: &str,
        from: Option<LogPosition>,
        to: LogPosition,
    ) -> Result<bool, StoreError> {
        let mut data = self.open()?;
        if data.cursors.get(name).copied() != from {
            return Ok(false);
        }
        data.cursors.insert(name.to_owned(), to);
        Ok(true)
    }

    async fn remove_cursor(&self, name: &str) -> Result<(), StoreError> {
        self.open()?.cursors.remove(name);
        Ok(())
    }

    async fn cursors(&self) -> Result<Vec<Cursor>, StoreError> {
        let data = self.open()?;
        let cursors = data.cursors.iter().map(|(name, position)| Cursor {
            name: name.clone(),
            position: *position,
        });
        Ok(cursors.collect())
    }
}
