//! Time and randomness.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use domain::Timestamp;
use uuid::Uuid;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// What a use case needs of the machine it runs on: a clock and a source of randomness.
pub trait Environment: Send + Sync {
    /// Returns the current time of day. It may jump, backwards too: pauses and durations are
    /// measured with [`Environment::monotonic`] or `std::time::Instant` instead.
    fn now(&self) -> Timestamp;

    /// Returns the time since a fixed moment of this process. It never jumps.
    fn monotonic(&self) -> Duration {
        START.elapsed()
    }

    /// Returns a new version 7 UUID: unique, and later ones sort after earlier ones.
    fn uuid(&self) -> Uuid;

    /// Returns 32 bytes from the system's secure generator.
    fn secret_bytes(&self) -> [u8; 32];
}

/// The calendar of the installation's time zone.
pub trait Calendar: Send + Sync {
    /// Returns when the day of `moment` began.
    fn day_start(&self, moment: Timestamp) -> Timestamp;

    /// Returns the name of the time zone, like `Europe/Berlin`.
    fn zone(&self) -> &str;
}
