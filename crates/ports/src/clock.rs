//! The time of day, and time that passes.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use domain::Timestamp;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Tells the time of day. It may jump, backwards too: pauses and durations are
/// measured with [`Clock::monotonic`] or `std::time::Instant` instead.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;

    /// Returns the time since some fixed moment of this process. It never jumps,
    /// whatever happens to the time of day.
    fn monotonic(&self) -> Duration {
        START.elapsed()
    }
}
