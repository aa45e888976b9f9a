//! Making room: what is older than anybody needs goes, a little at a time.

use std::num::NonZeroU32;

use async_trait::async_trait;
use domain::{RetentionDays, Timestamp};

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
    ///   before every report that arrived at `before` or later. So a report with
    ///   an old time of arrival that was recorded lately stays until its
    ///   neighbours go, and a report dated after the current time holds the log
    ///   until it is released ([`RetentionRuns::release_reports_after`]).
    /// - Where the engine keeps each day apart, a day goes when all its reports
    ///   may go, and `before` is the beginning of its day.
    /// - Readers behind are told: [`LogRead::Pruned`](crate::event_log::LogRead::Pruned).
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
        keep: RetentionDays,
        budget: NonZeroU32,
    ) -> Result<Pruning, StoreError>;
}

/// What retention removes, each kind by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetentionKind {
    /// Reports of the log.
    Reports,
    /// Messages; they go after their reports.
    Messages,
    /// Deliveries.
    Deliveries,
}

impl RetentionKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Reports, Self::Messages, Self::Deliveries];

    /// The word for people and programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reports => "reports",
            Self::Messages => "messages",
            Self::Deliveries => "deliveries",
        }
    }
}

/// A run of retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionRun {
    /// When it was, by the store's clock.
    pub at: Timestamp,
    /// Whether the clock has jumped since, so that nothing is removed until an
    /// operator says that it is right.
    pub held_back: bool,
}

/// The clock that decides what is too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionClock {
    /// The current time.
    pub now: Timestamp,
    /// The last run that was noted.
    pub last_run: Option<RetentionRun>,
}

/// Remembers when retention last ran, so that a wrong clock is noticed before
/// anything is removed by it.
#[async_trait]
pub trait RetentionRuns: Send + Sync {
    /// Returns the current time and the last run of a kind. The time is that of
    /// the database server, so that a process with a wrong clock removes nothing;
    /// an embedded engine returns `now`.
    async fn clock(
        &self,
        kind: RetentionKind,
        now: Timestamp,
    ) -> Result<RetentionClock, StoreError>;

    /// Notes a run of a kind instead of the one before.
    async fn note(&self, kind: RetentionKind, run: RetentionRun) -> Result<(), StoreError>;

    /// Whether there is anything of a kind that is dated before `before`: a report
    /// by its arrival, a message by its first report, a delivery by its end.
    /// Messages of a channel with a shorter time of its own count by that and `now`.
    async fn has_older(
        &self,
        kind: RetentionKind,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Returns when the first report of the log arrived, those that were released
    /// left out.
    async fn first_report(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Releases the reports that are in the log and dated after `now`: they go with
    /// their neighbours from now on.
    async fn release_reports_after(&self, now: Timestamp) -> Result<(), StoreError>;
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
