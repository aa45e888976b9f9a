//! Selects the channels whose requests are claimed.

use std::collections::HashMap;
use std::time::Duration;

use domain::{ChannelId, ForwardedRequestKey};
use ports::forwarding::ClaimableChannel;

/// How many requests of a channel are claimed at a time.
pub(super) const CLAIMED_PER_CHANNEL: u16 = 4;

/// The maximum number of requests in flight of a channel.
const MAX_IN_FLIGHT: u16 = 2 * CLAIMED_PER_CHANNEL;

/// After this many different requests failed in a row, the URL fails and the channel is paused.
const PAUSE_AFTER: usize = 3;

/// Minimum time between two log lines about failed attempts of a channel.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

/// What is in flight of each channel, and which channels are paused because their URL fails. Times
/// are those of a monotonic clock.
#[derive(Debug, Default)]
pub(super) struct ChannelPauses {
    channels: HashMap<ChannelId, ChannelState>,
}

#[derive(Debug, Default)]
struct ChannelState {
    in_flight: u16,
    /// Attempts that failed since the last answer that shows that the URL works.
    failures: u32,
    /// The requests of these attempts, by their hashes: the first [`PAUSE_AFTER`].
    failed: Vec<[u8; 32]>,
    /// Nothing is claimed until then.
    paused_until: Duration,
    logged_at: Option<Duration>,
}

impl ChannelState {
    /// Returns whether the URL fails. One request that fails again and again does not show that.
    const fn is_failing(&self) -> bool {
        self.failed.len() >= PAUSE_AFTER
    }
}

/// The channels to claim requests of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claimable {
    /// Up to [`CLAIMED_PER_CHANNEL`] of each.
    pub(super) working: Vec<ClaimableChannel>,
    /// One of each: their URL fails.
    pub(super) probed: Vec<ClaimableChannel>,
}

impl ChannelPauses {
    /// Returns the channels that have room.
    pub(super) fn claimable(&self, channels: &[ChannelId], now: Duration) -> Claimable {
        let mut claimable = Claimable {
            working: Vec::new(),
            probed: Vec::new(),
        };
        for channel in channels {
            let state = self.channels.get(channel);
            let entry = ClaimableChannel {
                id: channel.clone(),
                in_flight: state.map_or(0, |state| state.in_flight),
            };
            match state {
                Some(state) if now < state.paused_until => {}
                Some(state) if state.is_failing() => {
                    if state.in_flight == 0 {
                        claimable.probed.push(entry);
                    }
                }
                Some(state) if state.in_flight + CLAIMED_PER_CHANNEL > MAX_IN_FLIGHT => {}
                _ => claimable.working.push(entry),
            }
        }
        claimable
    }

    /// Notes that an attempt begins.
    pub(super) fn begun(&mut self, channel: &ChannelId) {
        let state = self.channels.entry(channel.clone()).or_default();
        state.in_flight = state.in_flight.saturating_add(1);
    }

    /// Notes that an attempt ended which says nothing about the URL.
    pub(super) fn ended(&mut self, channel: &ChannelId) {
        if let Some(state) = self.channels.get_mut(channel) {
            state.in_flight = state.in_flight.saturating_sub(1);
            if state.in_flight == 0 && state.failures == 0 && state.logged_at.is_none() {
                self.channels.remove(channel);
            }
        }
    }

    /// Notes that an attempt was answered in a way that shows that the URL works: the channel is
    /// not paused any more. Returns whether the URL failed before.
    pub(super) fn answered(&mut self, channel: &ChannelId) -> bool {
        let mut was_failing = false;
        if let Some(state) = self.channels.get_mut(channel) {
            was_failing = state.is_failing();
            (state.failures, state.paused_until) = (0, Duration::ZERO);
            state.failed.clear();
        }
        self.ended(channel);
        was_failing
    }

    /// Notes that an attempt failed. Pauses the channel by `cooldown`, and if its URL fails, by no
    /// less than the delay that `delay` returns for so many failures in a row.
    pub(super) fn failed(
        &mut self,
        key: &ForwardedRequestKey,
        now: Duration,
        cooldown: Duration,
        delay: impl FnOnce(u32) -> Duration,
    ) {
        let state = self.channels.entry(key.channel.clone()).or_default();
        state.failures = state.failures.saturating_add(1);
        if !state.is_failing() && !state.failed.contains(&key.body_hash) {
            state.failed.push(key.body_hash);
        }
        let pause = if state.is_failing() {
            delay(state.failures).max(cooldown)
        } else {
            cooldown
        };
        state.paused_until = state.paused_until.max(now + pause);
        self.ended(&key.channel);
    }

    /// Returns whether a line about a failed attempt may be logged: one per channel and minute.
    pub(super) fn may_log(&mut self, channel: &ChannelId, now: Duration) -> bool {
        let state = self.channels.entry(channel.clone()).or_default();
        let recently = |at| now.saturating_sub(at) < LOG_INTERVAL;
        let is_logged = !state.logged_at.is_some_and(recently);
        if is_logged {
            state.logged_at = Some(now);
        }
        is_logged
    }
}

#[cfg(test)]
mod tests {
    use testkit::builders::channel_id;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn claimable(pauses: &ChannelPauses, now: Duration) -> (usize, usize) {
        let claimable = pauses.claimable(&[channel_id("1"), channel_id("2")], now);
        (claimable.working.len(), claimable.probed.len())
    }

    #[test]
    fn channel_has_a_limit_of_its_own() {
        let mut pauses = ChannelPauses::default();
        let one = channel_id("1");
        for _ in 0..CLAIMED_PER_CHANNEL {
            pauses.begun(&one);
        }
        assert_eq!(claimable(&pauses, SECOND), (2, 0));
        pauses.begun(&one);
        assert_eq!(claimable(&pauses, SECOND), (1, 0));
        assert!(!pauses.answered(&one));
        assert_eq!(claimable(&pauses, SECOND), (2, 0));
    }

    fn fail(pauses: &mut ChannelPauses, number: u8, cooldown: Duration) {
        let key = ForwardedRequestKey {
            channel: channel_id("1"),
            body_hash: [number; 32],
        };
        pauses.failed(&key, SECOND, cooldown, |failures| SECOND * failures);
    }

    #[test]
    fn failing_channel_is_probed_after_its_pause_with_one_request() {
        let mut pauses = ChannelPauses::default();
        let one = channel_id("1");
        for _ in 0..4 {
            pauses.begun(&one);
        }
        for number in 0..3 {
            fail(&mut pauses, number, Duration::ZERO);
        }
        assert_eq!(claimable(&pauses, SECOND * 9), (1, 0), "one is in flight");
        fail(&mut pauses, 3, Duration::ZERO);
        assert_eq!(claimable(&pauses, SECOND * 4), (1, 0));
        assert_eq!(claimable(&pauses, SECOND * 5), (1, 1));
        pauses.begun(&one);
        assert_eq!(claimable(&pauses, SECOND * 5), (1, 0));
        assert!(pauses.answered(&one));
        assert_eq!(claimable(&pauses, SECOND * 5), (2, 0));
    }

    #[test]
    fn one_failing_request_does_not_pause_its_channel_unless_the_target_asks_for_it() {
        let mut pauses = ChannelPauses::default();
        for number in [0, 0, 0, 1, 0, 1] {
            fail(&mut pauses, number, Duration::ZERO);
            assert_eq!(claimable(&pauses, SECOND), (2, 0));
        }
        fail(&mut pauses, 1, SECOND * 5);
        assert_eq!(claimable(&pauses, SECOND * 5), (1, 0));
        assert_eq!(claimable(&pauses, SECOND * 6), (2, 0));
    }

    #[test]
    fn attempt_that_says_nothing_about_the_url_does_not_pause() {
        let mut pauses = ChannelPauses::default();
        pauses.begun(&channel_id("1"));
        pauses.ended(&channel_id("1"));
        pauses.ended(&channel_id("1"));
        assert_eq!(claimable(&pauses, SECOND), (2, 0));
        assert!(pauses.channels.is_empty());
    }

    #[test]
    fn one_line_per_channel_and_minute_is_logged() {
        let mut pauses = ChannelPauses::default();
        let mut logged = |id: &str, seconds: u32| {
            let channel = channel_id(id);
            pauses.begun(&channel);
            let logged = pauses.may_log(&channel, SECOND * seconds);
            pauses.ended(&channel);
            logged
        };
        assert!(logged("1", 1));
        assert!(!logged("1", 60));
        assert!(logged("2", 60));
        assert!(logged("1", 61));
    }
}
