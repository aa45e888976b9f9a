//! Adds up what reports change in the counts.

use domain::statistics::{
    Counts, Interval, MessageSummary, StatusChange, StatusLabel, quarter_hour,
};
use domain::{ChannelId, Timestamp};
use ports::Calendar;
use ports::statistics::IntervalCounts;

/// The changes of counts by a part of the log.
pub(super) struct Tally<'a> {
    calendar: &'a dyn Calendar,
    /// Changes by quarter of an hour.
    quarters: IntervalCounts,
}

impl<'a> Tally<'a> {
    pub(super) fn new(calendar: &'a dyn Calendar) -> Self {
        Self {
            calendar,
            quarters: IntervalCounts::new(),
        }
    }

    /// Counts a report, and what it changes of its message. `before` is `None` if it is the first
    /// report of the message. Returns the message after it.
    pub(super) fn count(
        &mut self,
        before: Option<&MessageSummary>,
        change: &StatusChange,
    ) -> MessageSummary {
        let channel = &change.key.channel;
        let reports = &mut self.counts(channel, change.arrived_at).reports;
        *reports.entry(StatusLabel::of(&change.status)).or_default() += 1;
        let after = before.map_or_else(
            || MessageSummary::begin(change),
            |before| before.with(change),
        );
        if before != Some(&after) {
            if let Some(before) = before {
                self.add(channel, before, -1);
            }
            self.add(channel, &after, 1);
        }
        after
    }

    /// Counts a message without a report.
    pub(super) fn add_message(&mut self, channel: &ChannelId, message: &MessageSummary) {
        self.add(channel, message, 1);
    }

    fn add(&mut self, channel: &ChannelId, message: &MessageSummary, factor: i64) {
        let counts = self.counts(channel, message.first_reported_at());
        message.add_to(counts, factor);
    }

    fn counts(&mut self, channel: &ChannelId, at: Timestamp) -> &mut Counts {
        let key = (Interval::QuarterHour, quarter_hour(at), channel.clone());
        self.quarters.entry(key).or_default()
    }

    /// Returns the changes by quarter of an hour and by day. A day of the calendar begins with a
    /// quarter of an hour, whatever the time zone.
    pub(super) fn into_counts(self) -> IntervalCounts {
        let mut days = IntervalCounts::new();
        for ((_, start, channel), counts) in &self.quarters {
            let key = (
                Interval::Day,
                self.calendar.day_start(*start),
                channel.clone(),
            );
            days.entry(key).or_default().add(counts, 1);
        }
        let mut all = self.quarters;
        all.extend(days);
        all.retain(|_, counts| !counts.is_empty());
        all
    }
}
