//! Adds up what reports change in the counts.

use std::collections::BTreeMap;

use domain::statistics::{
    Counts, Histogram, Interval, MessageSummary, StatusChange, StatusLabel, quarter_hour,
};
use domain::{ChannelId, Timestamp};
use ports::Calendar;
use ports::statistics::IntervalCounts;

/// The changes of counts by a part of the log.
pub(super) struct Tally<'a> {
    calendar: &'a dyn Calendar,
    /// Changes by quarter of an hour.
    quarters: IntervalCounts,
    /// When the last report of each channel arrived, as far as it is known.
    last_arrivals: BTreeMap<ChannelId, Timestamp>,
}

impl<'a> Tally<'a> {
    pub(super) fn new(calendar: &'a dyn Calendar) -> Self {
        Self::after(calendar, BTreeMap::new())
    }

    /// Continues after reports, the last of which arrived at `last_arrivals`.
    pub(super) fn after(
        calendar: &'a dyn Calendar,
        last_arrivals: BTreeMap<ChannelId, Timestamp>,
    ) -> Self {
        Self {
            calendar,
            quarters: IntervalCounts::new(),
            last_arrivals,
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
        self.count_gap(channel, change.arrived_at);
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

    /// Counts the time since the last report of the channel. A report that arrived before it ends
    /// no gap: it was recorded late, by another receiver or from the journal.
    fn count_gap(&mut self, channel: &ChannelId, at: Timestamp) {
        let Some(last) = self.last_arrivals.get_mut(channel) else {
            self.last_arrivals.insert(channel.clone(), at);
            return;
        };
        if at >= *last {
            let begin = std::mem::replace(last, at);
            let bucket = Histogram::bucket_of(at.unix_micros() - begin.unix_micros());
            self.counts(channel, begin).gaps.add(bucket, 1);
        }
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

    /// Takes out when the last report of each channel arrived.
    pub(super) fn take_last_arrivals(&mut self) -> BTreeMap<ChannelId, Timestamp> {
        std::mem::take(&mut self.last_arrivals)
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
