//! The time of day.

use domain::Timestamp;

/// Tells the time of day. It may jump, backwards too: how long something took
/// is measured with `std::time::Instant` instead.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}
