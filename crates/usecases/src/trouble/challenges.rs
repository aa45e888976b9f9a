//! How many challenges each channel had in the last ten minutes.

use std::collections::{BTreeMap, VecDeque};

use domain::trouble::rules::CHALLENGE_WINDOW_MICROS;
use domain::{ChannelId, Timestamp};

/// The counters of challenges of all channels, as they were at some moments of the last ten
/// minutes. The counters of a channel only grow.
#[derive(Debug, Default)]
pub(super) struct ChallengeSamples(VecDeque<(Timestamp, BTreeMap<ChannelId, u64>)>);

impl ChallengeSamples {
    /// Adds the counters of a moment, and drops those that are not needed any more.
    pub(super) fn add(&mut self, now: Timestamp, counters: BTreeMap<ChannelId, u64>) {
        let from = now.plus_micros(-CHALLENGE_WINDOW_MICROS);
        // After the clock was set back, older samples are in the future.
        self.0.retain(|(at, _)| *at < now);
        // The newest of those from before the window is its beginning.
        while self.0.get(1).is_some_and(|(at, _)| *at <= from) {
            self.0.pop_front();
        }
        self.0.push_back((now, counters));
    }

    /// Returns how many challenges a channel had in the window, as far as it was observed.
    pub(super) fn count(&self, channel: &ChannelId) -> u64 {
        let (Some((_, first)), Some((_, last))) = (self.0.front(), self.0.back()) else {
            return 0;
        };
        let counter = |counters: &BTreeMap<ChannelId, u64>| counters.get(channel).copied();
        // The first sample has all channels of its time; another one was added since.
        let before = counter(first).unwrap_or_default();
        counter(last).unwrap_or_default().saturating_sub(before)
    }

    /// Returns whether the whole window was observed.
    pub(super) fn is_complete(&self) -> bool {
        let (Some((first, _)), Some((last, _))) = (self.0.front(), self.0.back()) else {
            return false;
        };
        *first <= last.plus_micros(-CHALLENGE_WINDOW_MICROS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;

    fn at(minute: i64) -> Timestamp {
        Timestamp::EPOCH.plus_micros(minute * MINUTE)
    }

    fn channel(id: &str) -> ChannelId {
        ChannelId::parse(id).unwrap()
    }

    #[test]
    fn challenges_of_ten_minutes_are_counted() {
        let mut samples = ChallengeSamples::default();
        assert_eq!(samples.count(&channel("1")), 0);
        for minute in 0..20_u32 {
            let mut counters = BTreeMap::from([(channel("1"), u64::from(100 + minute))]);
            if minute >= 18 {
                counters.insert(channel("2"), 7);
            }
            samples.add(at(i64::from(minute)), counters);
            assert_eq!(samples.is_complete(), minute >= 10);
            assert_eq!(samples.count(&channel("1")), u64::from(minute.min(10)));
        }
        assert_eq!(samples.count(&channel("2")), 7);
        assert_eq!(samples.count(&channel("3")), 0);
    }

    #[test]
    fn clock_that_is_set_back_starts_anew() {
        let mut samples = ChallengeSamples::default();
        samples.add(at(90), BTreeMap::from([(channel("1"), 50)]));
        samples.add(at(10), BTreeMap::from([(channel("1"), 60)]));
        assert_eq!(samples.count(&channel("1")), 0);
        assert!(!samples.is_complete());
    }
}
