//! A clock that a test sets, with ids that are the same in every run.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use domain::Timestamp;
use ports::{Calendar, Environment};
use uuid::Uuid;

/// A clock that stands still until it is moved, forwards or back. Its ids and "random" bytes count
/// up from 1.
#[derive(Debug)]
pub struct FixedClock {
    now: AtomicI64,
    /// Microseconds of monotonic time.
    passed: AtomicU64,
    ids: AtomicU64,
}

impl FixedClock {
    /// Creates a clock that is stopped at a time.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self {
            now: AtomicI64::new(now.unix_micros()),
            passed: AtomicU64::new(0),
            ids: AtomicU64::new(0),
        }
    }

    fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Sets the time, forwards or back. Monotonic time does not change.
    pub fn set(&self, now: Timestamp) {
        self.now.store(now.unix_micros(), Ordering::SeqCst);
    }

    /// Advances time, and monotonic time by the same amount.
    pub fn advance(&self, by: Duration) {
        let by = micros(by);
        self.set(self.now().plus_micros(by));
        self.passed.fetch_add(by.unsigned_abs(), Ordering::SeqCst);
    }

    /// Sets the time back by a duration, like a correction of the system clock.
    pub fn turn_back(&self, by: Duration) {
        self.set(self.now().plus_micros(-micros(by)));
    }
}

impl Default for FixedClock {
    /// Creates a clock stopped at 2026-11-22T18:06:17Z.
    fn default() -> Self {
        Self::at(crate::builders::time(1_795_370_777_000_000))
    }
}

impl Environment for FixedClock {
    fn now(&self) -> Timestamp {
        crate::builders::time(self.now.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.passed.load(Ordering::SeqCst))
    }

    fn uuid(&self) -> Uuid {
        uuid::Builder::from_unix_timestamp_millis(self.next_id(), &[0; 10]).into_uuid()
    }

    fn secret_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (byte, counted) in bytes.iter_mut().rev().zip(self.next_id().to_le_bytes()) {
            *byte = counted;
        }
        bytes
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// The machine's clock, some microseconds off, with the ids of a [`FixedClock`].
#[derive(Debug, Default)]
pub struct SkewedClock {
    skew: AtomicI64,
    ids: FixedClock,
}

impl SkewedClock {
    /// Creates a clock that is ahead of the system clock by this many microseconds.
    #[must_use]
    pub fn ahead_by(micros: i64) -> Self {
        Self {
            skew: AtomicI64::new(micros),
            ids: FixedClock::default(),
        }
    }

    /// Sets the time back by a duration, like a correction of the system clock.
    pub fn turn_back(&self, by: Duration) {
        self.skew.fetch_sub(micros(by), Ordering::SeqCst);
    }
}

impl Environment for SkewedClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Timestamp {
        let now = Timestamp::try_from(time::OffsetDateTime::now_utc()).unwrap_or(Timestamp::EPOCH);
        now.plus_micros(self.skew.load(Ordering::SeqCst))
    }

    fn uuid(&self) -> Uuid {
        self.ids.uuid()
    }

    fn secret_bytes(&self) -> [u8; 32] {
        self.ids.secret_bytes()
    }
}

/// The calendar of UTC.
#[derive(Clone, Copy, Debug)]
pub struct UtcDays;

impl Calendar for UtcDays {
    fn day_start(&self, moment: Timestamp) -> Timestamp {
        const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;
        moment.plus_micros(-moment.unix_micros().rem_euclid(DAY_MICROS))
    }

    fn zone(&self) -> &'static str {
        "UTC"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_advances_only_explicitly() {
        let clock = FixedClock::default();
        let start = clock.now();
        assert_eq!(clock.now(), start);
        clock.advance(Duration::from_secs(2));
        assert_eq!(clock.now(), start.plus_micros(2_000_000));
        clock.turn_back(Duration::from_secs(3));
        assert_eq!(clock.now(), start.plus_micros(-1_000_000));
        assert_eq!(clock.monotonic(), Duration::from_secs(2));
    }

    #[test]
    fn ids_are_increasing_and_secrets_unique() {
        let ids = FixedClock::default();
        let (first, second) = (ids.uuid(), ids.uuid());
        assert!(first < second);
        assert_eq!(first.get_version_num(), 7);
        assert_ne!(ids.secret_bytes(), ids.secret_bytes());
    }
}
