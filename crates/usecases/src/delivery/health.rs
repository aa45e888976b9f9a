//! Whether a target takes anything at all, and when it is asked again if not.

use std::collections::HashSet;
use std::time::Duration;

use domain::{MessageKey, Timestamp};

use super::limits::SLOW_ATTEMPT;
use super::{backoff, later};

/// Events of so many messages that failed, and none taken in between, mean that
/// the target takes nothing. One that cannot be taken is not enough.
const TRIPPED_AFTER: usize = 5;

/// The longest time for which all events wait because the target asked for it
/// when it did not take one.
pub(super) const LONGEST_REST: Duration = Duration::from_hours(1);

/// How a target has done lately.
#[derive(Debug)]
pub(super) struct TargetHealth {
    failing_since: Option<Timestamp>,
    /// Messages of which it has not taken an event since it last took one at all.
    failed: HashSet<MessageKey>,
    /// Messages of which it has not taken an event although it took others later:
    /// they say nothing about the target.
    stubborn: HashSet<MessageKey>,
    /// How many tries failed that were made since it takes nothing.
    failed_probes: u32,
    /// Whether one is under way.
    probing: bool,
    probe_at: Timestamp,
    rests_until: Timestamp,
    /// Whether its last answer took long, or it has not answered yet and failed before.
    slow: bool,
    /// State of the generator that spreads retries.
    jitter: u64,
}

impl TargetHealth {
    /// One that was taking nothing is asked with one event first, as soon as it
    /// may be. `seed` is a random number: subscriptions with the same one would
    /// retry at the same times.
    pub(super) fn new(
        failing_since: Option<Timestamp>,
        rests_until: Option<Timestamp>,
        now: Timestamp,
        seed: u64,
    ) -> Self {
        Self {
            slow: failing_since.is_some(),
            failing_since,
            failed: HashSet::new(),
            stubborn: HashSet::new(),
            failed_probes: 0,
            probing: false,
            probe_at: now,
            rests_until: rests_until.unwrap_or(now),
            jitter: seed,
        }
    }

    /// Whether it takes nothing, so that it is asked with one event now and then.
    pub(super) const fn is_tripped(&self) -> bool {
        self.failing_since.is_some()
    }

    /// From when on it may be sent something.
    pub(super) fn free_at(&self) -> Timestamp {
        if self.is_tripped() {
            self.probe_at.max(self.rests_until)
        } else {
            self.rests_until
        }
    }

    /// It takes nothing, and is asked with one event, alone.
    pub(super) const fn probing(&mut self) {
        self.probing = true;
    }

    /// The event that was to be asked with was not sent.
    pub(super) const fn not_probed(&mut self) {
        self.probing = false;
    }

    /// Whether it is slow to answer.
    pub(super) const fn is_slow(&self) -> bool {
        self.slow
    }

    /// It has answered after so long, or was given up.
    pub(super) fn answered_after(&mut self, took: Duration) {
        self.slow = took >= SLOW_ATTEMPT;
    }

    /// Whether it has not taken an event of this message although it took others
    /// later.
    pub(super) fn is_stubborn(&self, message: &MessageKey) -> bool {
        self.stubborn.contains(message)
    }

    /// It has taken an event of this message.
    pub(super) fn worked(&mut self, message: &MessageKey) {
        self.stubborn.extend(self.failed.drain());
        self.stubborn.remove(message);
        self.failing_since = None;
        self.failed_probes = 0;
        self.probing = false;
    }

    /// An event of this message is not tried any more.
    pub(super) fn given_up(&mut self, message: &MessageKey) {
        self.stubborn.remove(message);
    }

    /// It has not taken an event of this message. Whether it is from now on that
    /// it takes nothing.
    pub(super) fn failed(&mut self, message: &MessageKey, now: Timestamp) -> bool {
        if !self.stubborn.contains(message) {
            self.failed.insert(message.clone());
        }
        let trips = !self.is_tripped() && self.failed.len() >= TRIPPED_AFTER;
        // What was under way when it tripped says nothing new. Dozens may be, and must
        // not put off the next one each.
        let probed = std::mem::take(&mut self.probing);
        if trips {
            self.failing_since = Some(now);
        }
        if trips || probed {
            self.failed_probes = self.failed_probes.saturating_add(u32::from(probed));
            let pause = backoff::probe_pause(self.failed_probes.saturating_add(1), self.random());
            self.probe_at = later(now, pause);
        }
        trips
    }

    /// It asks to be left alone for so long. Until when nothing is sent to it.
    pub(super) fn asked_for_rest(&mut self, now: Timestamp, asked: Duration) -> Timestamp {
        let until = later(now, asked.min(LONGEST_REST));
        self.rest_until(until);
        until
    }

    /// Nothing is sent to it until then.
    pub(super) fn rest_until(&mut self, until: Timestamp) {
        self.rests_until = self.rests_until.max(until);
    }

    /// Whether it takes nothing and has not for so long.
    pub(super) fn has_failed_for(&self, duration: Duration, now: Timestamp) -> bool {
        self.failing_since.is_some_and(|since| {
            let micros = now.unix_micros().saturating_sub(since.unix_micros());
            u128::try_from(micros).is_ok_and(|micros| micros >= duration.as_micros())
        })
    }

    /// How long one delivery is left alone that has failed so often.
    pub(super) fn pause(&mut self, failed: u32, asked: Duration) -> Duration {
        backoff::pause(failed, self.random()).max(asked)
    }

    /// Returns the next number of a linear congruential generator (Knuth's MMIX).
    fn random(&mut self) -> u32 {
        self.jitter = self
            .jitter
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        // Its upper bits are the good ones.
        u32::try_from(self.jitter >> 32).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use testkit::builders::key;

    use super::*;

    const START: Timestamp = Timestamp::EPOCH;

    fn healthy() -> TargetHealth {
        TargetHealth::new(None, None, START, 1)
    }

    fn message(number: u32) -> MessageKey {
        key(&format!("SM{number}"))
    }

    fn soon(seconds: u64) -> Timestamp {
        later(START, Duration::from_secs(seconds))
    }

    #[test]
    fn failures_of_five_messages_trip_it_and_one_success_mends_it() {
        let mut health = healthy();
        let tripped: Vec<_> = (0..7).map(|n| health.failed(&message(n), START)).collect();
        assert_eq!(tripped, [false, false, false, false, true, false, false]);
        assert!(health.is_tripped() && health.free_at() > START);
        health.worked(&message(9));
        assert!(!health.is_tripped());
        assert_eq!(health.free_at(), START);
    }

    #[test]
    fn one_message_never_trips_it_however_often_it_fails() {
        let mut health = healthy();
        for _ in 0..100 {
            assert!(!health.failed(&message(1), START));
        }
        assert!(!health.is_tripped());
    }

    #[test]
    fn messages_that_failed_while_others_were_taken_do_not_trip_it() {
        let mut health = healthy();
        for n in 0..20 {
            health.failed(&message(n), START);
        }
        health.worked(&message(99));
        for n in (0..20).chain([100, 101, 102, 103]) {
            assert!(!health.failed(&message(n), START), "{n}");
        }
        assert!(health.failed(&message(104), soon(1)));
        assert_eq!(health.failing_since, Some(soon(1)));
        // Once it was taken it counts like any other.
        for n in 0..20 {
            health.worked(&message(n));
        }
        let tripped: Vec<_> = (0..5).map(|n| health.failed(&message(n), START)).collect();
        assert_eq!(tripped, [false, false, false, false, true]);
    }

    #[test]
    fn what_was_under_way_when_it_tripped_does_not_put_off_the_first_probe() {
        let mut health = healthy();
        for n in 0..64 {
            health.failed(&message(n), START);
        }
        assert!(health.free_at() <= soon(5));
        for n in 1..9 {
            health.probing();
            assert!(!health.failed(&message(n), START));
            assert!(health.free_at() <= soon(60));
        }
        health.worked(&message(1));
        for n in 100..164 {
            health.failed(&message(n), START);
        }
        assert!(health.free_at() <= soon(5), "it begins anew");
    }

    #[test]
    fn endpoints_that_failed_together_are_not_retried_together() {
        let mut times: Vec<_> = (0..20)
            .map(|seed| {
                let mut health = TargetHealth::new(None, None, START, seed << 32);
                later(START, health.pause(4, Duration::ZERO))
            })
            .collect();
        times.sort_unstable();
        times.dedup();
        assert_eq!(times.len(), 20);
        let spread = times[19].unix_micros() - times[0].unix_micros();
        assert!(spread > 20_000_000, "{spread} µs of 40 s");
    }

    #[test]
    fn what_a_target_asks_for_is_the_least_it_gets_up_to_an_hour() {
        for failing_since in [None, Some(START)] {
            let mut health = TargetHealth::new(failing_since, None, START, 1);
            assert_eq!(health.free_at(), START);
            assert_eq!(
                health.asked_for_rest(START, Duration::from_secs(90)),
                soon(90)
            );
            health.asked_for_rest(START, Duration::from_secs(30));
            health.worked(&message(1));
            assert_eq!(health.free_at(), soon(90));
            health.asked_for_rest(START, Duration::from_hours(20));
            assert_eq!(health.free_at(), soon(3_600));
        }
        let restored = TargetHealth::new(Some(START), Some(soon(9)), START, 1);
        assert_eq!(restored.free_at(), soon(9));
        let asked = Duration::from_hours(5);
        assert_eq!(healthy().pause(1, asked), asked);
    }

    #[test]
    fn it_has_failed_for_long_only_since_it_takes_nothing() {
        let mut health = healthy();
        let hour = Duration::from_hours(1);
        for n in 0..4 {
            health.failed(&message(n), START);
        }
        assert!(!health.has_failed_for(hour, soon(7_200)));
        health.failed(&message(4), soon(3_600));
        assert!(!health.has_failed_for(hour, soon(7_199)));
        assert!(health.has_failed_for(hour, soon(7_200)));
    }
}
