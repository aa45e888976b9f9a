//! Whether a target takes anything at all, and when it is asked again if not.

use std::time::Duration;

use domain::Timestamp;
use tokio::time::Instant;

use super::backoff;

/// So many failed tries in a row mean that the target takes nothing.
const TRIPPED_AFTER: u32 = 5;

/// How a target has done lately.
#[derive(Debug)]
pub(super) struct TargetHealth {
    failing_since: Option<Timestamp>,
    failed_in_a_row: u32,
    /// How many of those were asked for since it takes nothing.
    failed_probes: u32,
    /// Whether one is under way that was.
    probing: bool,
    probe_at: Instant,
    dice: u64,
}

impl TargetHealth {
    /// One that was failing is asked with one event first, at once. `seed` is any
    /// number.
    pub(super) fn new(failing_since: Option<Timestamp>, seed: u64) -> Self {
        Self {
            failing_since,
            failed_in_a_row: failing_since.map_or(0, |_| TRIPPED_AFTER),
            failed_probes: 0,
            probing: false,
            probe_at: Instant::now(),
            dice: seed,
        }
    }

    /// Since when it has taken nothing.
    pub(super) const fn failing_since(&self) -> Option<Timestamp> {
        self.failing_since
    }

    /// Whether it takes nothing, so that it is asked with one event now and then.
    pub(super) const fn is_tripped(&self) -> bool {
        self.failed_in_a_row >= TRIPPED_AFTER
    }

    /// When it is asked again, if it takes nothing.
    pub(super) const fn probe_at(&self) -> Instant {
        self.probe_at
    }

    /// It takes nothing, and is asked with one event, alone.
    pub(super) const fn probing(&mut self) {
        self.probing = true;
    }

    /// It has taken an event. Whether it had been taking nothing.
    pub(super) fn worked(&mut self) -> bool {
        let was_tripped = self.is_tripped();
        self.failing_since = None;
        self.failed_in_a_row = 0;
        self.failed_probes = 0;
        self.probing = false;
        was_tripped
    }

    /// It has not taken an event, and asks to be left alone for so long. Whether
    /// it is from now on that it takes nothing.
    pub(super) fn failed(&mut self, now: Timestamp, asked: Duration) -> bool {
        self.failed_in_a_row = self.failed_in_a_row.saturating_add(1);
        self.failing_since.get_or_insert(now);
        let trips = self.failed_in_a_row == TRIPPED_AFTER;
        let probed = std::mem::take(&mut self.probing);
        if trips || probed {
            self.failed_probes = self.failed_probes.saturating_add(u32::from(probed));
            let pause = backoff::probe_pause(self.failed_probes.saturating_add(1), self.dice());
            self.probe_at = Instant::now() + pause.max(asked);
        } else if self.is_tripped() {
            // It was under way when the others failed and says nothing new. Dozens
            // may be, and must not put off the probe each.
            self.probe_at = self.probe_at.max(Instant::now() + asked);
        }
        trips
    }

    /// Whether it takes nothing and has not for so long.
    pub(super) fn has_failed_for(&self, duration: Duration, now: Timestamp) -> bool {
        let failing = self.failing_since.filter(|_| self.is_tripped());
        failing.is_some_and(|since| {
            let micros = now.unix_micros().saturating_sub(since.unix_micros());
            u128::try_from(micros).is_ok_and(|micros| micros >= duration.as_micros())
        })
    }

    /// How long one delivery is left alone that has failed so often.
    pub(super) fn pause(&mut self, failed: u32, asked: Duration) -> Duration {
        backoff::pause(failed, self.dice()).max(asked)
    }

    /// Some number; what it is does not matter.
    const fn dice(&mut self) -> u64 {
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.dice >> 33
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_in_a_row_trip_it_and_one_success_mends_it() {
        let mut health = TargetHealth::new(None, 1);
        let now = Timestamp::EPOCH;
        let tripped: Vec<_> = (0..7).map(|_| health.failed(now, Duration::ZERO)).collect();
        assert_eq!(tripped, [false, false, false, false, true, false, false]);
        assert!(health.is_tripped() && health.probe_at() > Instant::now());
        assert!(health.worked());
        assert!(!health.is_tripped() && !health.worked());
        assert_eq!(health.failing_since(), None);
    }

    #[test]
    fn what_was_under_way_when_it_tripped_does_not_put_off_the_first_probe() {
        let mut health = TargetHealth::new(None, 1);
        let now = Timestamp::EPOCH;
        let soon = |seconds| Instant::now() + Duration::from_secs(seconds);
        for _ in 0..64 {
            health.failed(now, Duration::ZERO);
        }
        assert!(health.probe_at() < soon(7), "5 s, and a quarter by chance");
        health.probing();
        assert!(!health.failed(now, Duration::ZERO));
        let second = health.probe_at();
        assert!(second > soon(7) && second < soon(13), "10 s, by chance");
        assert!(health.worked());
        for _ in 0..64 {
            health.failed(now, Duration::ZERO);
        }
        assert!(health.probe_at() < soon(7), "it begins anew");
    }

    #[test]
    fn what_a_target_asks_for_is_the_least_it_gets() {
        let mut health = TargetHealth::new(Some(Timestamp::EPOCH), 1);
        let asked = Duration::from_hours(5);
        health.failed(Timestamp::EPOCH, asked);
        assert!(health.probe_at() > Instant::now() + asked - Duration::from_mins(1));
        assert_eq!(health.pause(1, asked), asked);
    }

    #[test]
    fn it_has_failed_for_long_only_if_it_takes_nothing() {
        let mut health = TargetHealth::new(None, 1);
        let hour = Duration::from_hours(1);
        let later = Timestamp::EPOCH.plus_micros(3_600_000_000);
        health.failed(Timestamp::EPOCH, Duration::ZERO);
        assert!(!health.has_failed_for(hour, later));
        for _ in 0..4 {
            health.failed(later, Duration::ZERO);
        }
        assert!(health.has_failed_for(hour, later));
        assert!(!health.has_failed_for(hour * 2, later));
    }
}
