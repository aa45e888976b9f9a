//! Making room: what is older than anybody needs goes, a little at a time.

use std::num::NonZeroU32;

use async_trait::async_trait;
use domain::{KeepDays, Timestamp};

use crate::StoreError;

/// Removes what is too old. Each method does a bounded amount and is called
/// again until it says that it is done; several processes may call at once.
#[async_trait]
pub trait Retention: Send + Sync {
    /// Makes room for the reports of `today` and the week after it, where the
    /// engine keeps each day apart. Says for how many days it did; those that
    /// have their room already are left alone. Reports of a day without room
    /// are recorded all the same.
    async fn make_partitions(&self, today: Timestamp) -> Result<u32, StoreError>;

    /// Removes reports that arrived before a time, at most `budget` of them one
    /// by one, or all of one day together.
    ///
    /// - The log is cut from its beginning: a report goes when it was recorded
    ///   before every report that arrived at `before` or in the year after it.
    ///   So a report with an old time of arrival that was recorded lately stays
    ///   until its neighbours go, and a clock that was wrong removes nothing
    ///   that readers have had no time to read.
    /// - Where the engine keeps each day apart, a day goes when all its reports
    ///   may go, and `before` is the beginning of its day.
    /// - Readers behind are told: [`LogRead::Pruned`](crate::log::LogRead::Pruned).
    /// - Messages stay as they are. Their removed reports are no longer shown.
    async fn prune_reports(
        &self,
        before: Timestamp,
        budget: NonZeroU32,
    ) -> Result<Pruning, StoreError>;

    /// Goes on with a walk through the messages: looks at the next ones, at most
    /// `budget` of them, and removes those that were last reported on more than
    /// `keep` days ago. It is done when there is no walk to go on with, or others
    /// do so just now.
    ///
    /// - A channel may have a time of its own
    ///   ([`Channel::keep_messages_days`](domain::Channel::keep_messages_days)).
    ///   With a longer one its messages are passed over; with a shorter one there
    ///   is a walk through them alone. A channel that is gone has no time of its
    ///   own.
    /// - Each walk is begun once in 24 hours and looks at no message twice. So
    ///   what is too old goes within a day. Where the time is another one than
    ///   that of the last walk, or the clock is behind its beginning, a walk is
    ///   begun at once.
    /// - A message of which the log still has a report stays; so does one that is
    ///   reported on meanwhile. The next walk looks at it again.
    async fn prune_messages(
        &self,
        now: Timestamp,
        keep: KeepDays,
        budget: NonZeroU32,
    ) -> Result<Pruning, StoreError>;
}

/// What one step of removing did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pruning {
    /// How many rows it removed, one by one.
    pub rows: u64,
    /// How many days it removed as a whole.
    pub days: u32,
    /// Whether there is nothing more to remove for now.
    pub done: bool,
}
