//! Adds up what reports change in the counts.

use std::collections::{BTreeMap, HashMap};

use domain::statistics::{
    Counts, Histogram, Interval, MessageSummary, StatusChange, StatusLabel, quarter_hour,
};
use domain::{ChannelId, Timestamp};
use ports::Calendar;
use ports::statistics::IntervalCounts;

/// The changes of counts by a part of the log.
pub(super) struct Tally<'a> {
    calendar: &'a dyn Calendar,
    /// By channel, because most reports are counted where the one before was.
    channels: HashMap<ChannelId, ChannelTally>,
}

#[derive(Default)]
struct ChannelTally {
    /// When the last report arrived, as far as it is known.
    last_arrival: Option<Timestamp>,
    /// Changes by quarter of an hour.
    quarters: BTreeMap<Timestamp, Counts>,
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
        let channels = last_arrivals.into_iter().map(|(channel, at)| {
            let tally = ChannelTally {
                last_arrival: Some(at),
                ..ChannelTally::default()
            };
            (channel, tally)
        });
        Self {
            calendar,
            channels: channels.collect(),
        }
    }

    /// Counts a report, and what it changes of its message. `before` is `None` if it is the first
    /// report of the message. Returns the message after it.
    pub(super) fn count(
        &mut self,
        before: Option<MessageSummary>,
        change: &StatusChange,
    ) -> MessageSummary {
        let channel = self.channel(&change.key.channel);
        let reports = &mut channel.counts(change.arrived_at).reports;
        *reports.entry(StatusLabel::of(&change.status)).or_default() += 1;
        channel.count_gap(change.arrived_at);
        let Some(before) = before else {
            let first = MessageSummary::begin(change);
            channel.add(&first, 1);
            return first;
        };
        let after = before.with(change);
        if before != after {
            channel.add(&before, -1);
            channel.add(&after, 1);
        }
        after
    }

    /// Counts a message without a report.
    pub(super) fn add_message(&mut self, channel: &ChannelId, message: &MessageSummary) {
        self.channel(channel).add(message, 1);
    }

    fn channel(&mut self, id: &ChannelId) -> &mut ChannelTally {
        // An entry would need a copy of the id, even of a known channel.
        if !self.channels.contains_key(id) {
            self.channels.insert(id.clone(), ChannelTally::default());
        }
        self.channels.get_mut(id).expect("it was inserted above")
    }

    /// Returns when the last report of each channel arrived.
    pub(super) fn last_arrivals(&self) -> BTreeMap<ChannelId, Timestamp> {
        let channels = self.channels.iter();
        channels
            .filter_map(|(id, tally)| Some((id.clone(), tally.last_arrival?)))
            .collect()
    }

    /// Returns the changes by quarter of an hour and by day. A day of the calendar begins with a
    /// quarter of an hour, whatever the time zone.
    pub(super) fn into_counts(self) -> IntervalCounts {
        let mut all = IntervalCounts::new();
        for (channel, tally) in self.channels {
            for (start, counts) in tally.quarters {
                let day = self.calendar.day_start(start);
                let day = all.entry((Interval::Day, day, channel.clone()));
                day.or_default().add(&counts, 1);
                all.insert((Interval::QuarterHour, start, channel.clone()), counts);
            }
        }
        all.retain(|_, counts| !counts.is_empty());
        all
    }
}

impl ChannelTally {
    fn add(&mut self, message: &MessageSummary, factor: i64) {
        message.add_to(self.counts(message.first_reported_at()), factor);
    }

    /// Counts the time since the last report. A report that arrived before it ends no gap: it was
    /// recorded late, by another receiver or from the journal.
    fn count_gap(&mut self, at: Timestamp) {
        let last = self.last_arrival;
        if last.is_none_or(|last| last <= at) {
            self.last_arrival = Some(at);
        }
        if let Some(begin) = last.filter(|last| *last <= at) {
            let bucket = Histogram::bucket_of(at.unix_micros() - begin.unix_micros());
            self.counts(begin).gaps.add(bucket, 1);
        }
    }

    fn counts(&mut self, at: Timestamp) -> &mut Counts {
        self.quarters.entry(quarter_hour(at)).or_default()
    }
}
