//! Recomputes the statistics from the messages and the log.

use std::sync::Arc;

use domain::Message;
use domain::crypto::ServerSecret;
use domain::page::{MessageCursor, MessageFilter, PageSize, ScanLimit};
use domain::statistics::{MessageSummary, StatusChange, quarter_hour};
use ports::statistics::{IntervalCounts, LogBegins, ProblemMessage, RecipientEntry};
use ports::{Calendar, Maintenance, ReportStore, Statistics, StoreError};

use super::days::MakeDays;
use super::tally::Tally;

/// Recomputes the statistics.
///
/// Resetting the position makes the readers count the whole log again. What the log no longer has
/// is added here: for each message that lost reports to retention, the state that they led to. Both
/// only add, so servers can run meanwhile.
pub struct RebuildStatistics {
    statistics: Arc<dyn Statistics>,
    reports: Arc<dyn ReportStore>,
    maintenance: Arc<dyn Maintenance>,
    calendar: Arc<dyn Calendar>,
    secret: ServerSecret,
}

impl RebuildStatistics {
    /// Rebuilds the statistics of these stores.
    #[must_use]
    pub fn new(
        statistics: Arc<dyn Statistics>,
        reports: Arc<dyn ReportStore>,
        maintenance: Arc<dyn Maintenance>,
        calendar: Arc<dyn Calendar>,
        secret: ServerSecret,
    ) -> Self {
        Self {
            statistics,
            reports,
            maintenance,
            calendar,
            secret,
        }
    }

    /// Removes the statistics and counts what the log no longer has. Calls `examined` with the
    /// number of messages examined so far. The log itself is counted by the readers of all servers,
    /// which start with its oldest report. Returns how many messages have lost reports.
    pub async fn run(&self, examined: impl Fn(u64)) -> Result<u64, StoreError> {
        let oldest = self.maintenance.first_report().await?;
        let log_begins = oldest.map(|oldest| LogBegins {
            quarter_hour: quarter_hour(oldest),
            day: self.calendar.day_start(oldest),
        });
        self.statistics.reset_statistics(log_begins).await?;
        if let Some(begins) = log_begins {
            // Quarters of an hour before the log have kept their reports; the day has lost them.
            let days = MakeDays {
                store: &*self.statistics,
                calendar: &*self.calendar,
            };
            days.make_again(begins.day).await?;
        }
        let filter = MessageFilter {
            // Messages first reported later have all their reports in the log. A day of tolerance
            // for reports that were recorded out of the order of their arrival.
            until: oldest.map(|oldest| oldest.plus_micros(24 * 60 * 60 * 1_000_000)),
            ..MessageFilter::default()
        };
        let (mut messages, mut added) = (0, 0);
        let mut after: Option<MessageCursor> = None;
        loop {
            let page =
                self.reports
                    .messages(&filter, after.as_ref(), PageSize::MAX, ScanLimit::MAX);
            let page = page.await?;
            let mut tally = Tally::new(&*self.calendar);
            for message in page.items.iter().filter(|it| !it.key.sid.is_test()) {
                messages += 1;
                if let Some(summary) = self.lost(message).await? {
                    tally.add_message(&message.key.channel, &summary);
                    added += 1;
                }
            }
            self.list(&page.items).await?;
            let counts: IntervalCounts = tally.into_counts();
            self.statistics.add_statistics(&counts).await?;
            examined(messages);
            after = page.next;
            if after.is_none() {
                return Ok(added);
            }
        }
    }

    /// Lists the problems and the recipients among messages.
    async fn list(&self, messages: &[Message]) -> Result<(), StoreError> {
        let problems = messages
            .iter()
            .filter_map(|it| ProblemMessage::of(&it.key, &MessageSummary::of(it)));
        let problems: Vec<_> = problems.collect();
        self.statistics.list_problems(&problems).await?;
        let recipients = messages.iter().filter_map(|message| {
            let parties = &message.parties;
            let at = parties.first_reported_at;
            RecipientEntry::of(&message.key, &parties.recipient, at, &self.secret)
        });
        let recipients: Vec<_> = recipients.collect();
        self.statistics.list_recipients(&recipients).await
    }

    /// Summarises the reports of a message that retention has removed; `None` if there are none.
    async fn lost(&self, message: &Message) -> Result<Option<MessageSummary>, StoreError> {
        let Some(stored) = self.reports.message(&message.key).await? else {
            return Ok(None);
        };
        let in_log = u64::try_from(stored.reports.len()).unwrap_or(u64::MAX);
        if in_log >= stored.message.revision() {
            return Ok(None);
        }
        let Some(first) = stored.reports.iter().min_by_key(|logged| logged.id) else {
            return Ok(Some(MessageSummary::of(&stored.message)));
        };
        let first = [StatusChange::from(first)];
        let mut summaries = self.statistics.summaries(&first).await?.into_iter();
        Ok(summaries.next().map(|(_, summary)| summary))
    }
}
