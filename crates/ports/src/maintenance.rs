//! Removing old data and erasing recipients, a bounded step at a time.

use std::num::NonZeroU32;

use async_trait::async_trait;
use domain::crypto::RecipientHash;
use domain::erasure::{ErasureReason, RequestedVia};
use domain::page::{Page, PageSize};
use domain::{Erasure, ErasureId, MessageKey, Recipient, RetentionDays, Timestamp};

use crate::StoreError;

/// Removes what is too old, and erases recipients on request.
///
/// Each method does a bounded amount of work and is called again until it reports that it is
/// done. Several processes may call at once.
///
/// An erasure finds the messages that go to a recipient, and those of which some report names the
/// recipient, also as the value of a field. Of each such message
///
/// - the recipient becomes [`Address::erased`](domain::Address::erased), and so does that of all
///   its reports in the log;
/// - the fields of its reports and the texts of their errors are removed, as
///   [`Report::erase`](domain::Report::erase) specifies;
/// - its pending deliveries are given up, as [`erase_deliveries`](Self::erase_deliveries)
///   specifies, and every worker loses its lease;
/// - everything else stays: statuses, times, error codes, counts, positions.
///
/// Later reports of such a message are erased before they are stored. Messages first reported
/// after the erasure are not affected.
#[async_trait]
pub trait Maintenance: Send + Sync {
    /// Creates the partitions for the reports of `today` and the week after it, where the engine
    /// keeps each day apart. Returns how many it created; existing ones are left alone. Reports of
    /// a day without a partition are recorded all the same.
    async fn make_partitions(&self, today: Timestamp) -> Result<u32, StoreError>;

    /// Removes reports that arrived before a time: at most `budget` single reports, or all of one
    /// day together.
    ///
    /// - The log is cut from its beginning: a report is removed when it was recorded before every
    ///   report that arrived at `before` or later. So a report with an old time of arrival that was
    ///   recorded lately stays until its neighbours go, and a report dated after the current time
    ///   holds the log until it is released
    ///   ([`release_reports_after`](Self::release_reports_after)).
    /// - Where the engine keeps each day apart, a day is removed when all its reports may go, and
    ///   `before` is the beginning of its day.
    /// - Readers before the cut get [`LogRead::Pruned`](crate::event_log::LogRead::Pruned).
    /// - Messages stay as they are. Their removed reports are no longer shown.
    async fn prune_reports(
        &self,
        before: Timestamp,
        budget: NonZeroU32,
    ) -> Result<Pruning, StoreError>;

    /// Resumes a scan over the messages: examines the next `budget` messages and removes those
    /// whose last report is older than `keep`. It is done when no scan is unfinished, or while
    /// another process is running a step.
    ///
    /// - A channel may have its own retention
    ///   ([`Channel::keep_messages_days`](domain::Channel::keep_messages_days)). Messages of one
    ///   with a longer retention are skipped; one with a shorter retention has a scan of its own.
    ///   A removed channel has no retention of its own.
    /// - Each scan starts once in 24 hours and examines no message twice. So expired messages are
    ///   removed within a day. A scan starts at once if the retention differs from that of the
    ///   last scan, or if the clock is before its start.
    /// - A message stays while the log has a report of it, or if a report arrives meanwhile. The
    ///   next scan examines it again.
    async fn prune_messages(
        &self,
        now: Timestamp,
        keep: RetentionDays,
        budget: NonZeroU32,
    ) -> Result<Pruning, StoreError>;

    /// Removes at most `budget` deliveries: those of removed subscriptions, then those completed
    /// or given up before a time, oldest first. Pending ones stay.
    async fn prune_deliveries(
        &self,
        before: Timestamp,
        budget: NonZeroU32,
    ) -> Result<Pruning, StoreError>;

    /// Removes at most `budget` entries of the audit log from before a time, oldest first.
    async fn prune_audit(
        &self,
        before: Timestamp,
        budget: NonZeroU32,
    ) -> Result<Pruning, StoreError>;

    /// Removes the bodies of the undelivered deliveries of messages, as
    /// [`Delivery::erase`](domain::Delivery::erase) specifies, and returns how many there were.
    /// They are not sent any more, and the leases of all subscriptions are lost, so that no worker
    /// records one that it has in memory.
    ///
    /// The data that the events are made from has to be erased before.
    async fn erase_deliveries(
        &self,
        messages: &[MessageKey],
        now: Timestamp,
    ) -> Result<u64, StoreError>;

    /// Returns the current time and the last retention run of a kind. The time is that of the
    /// database server, so that a process with a wrong clock removes nothing; an embedded engine
    /// returns `now`.
    async fn retention_clock(
        &self,
        kind: RetentionKind,
        now: Timestamp,
    ) -> Result<RetentionClock, StoreError>;

    /// Stores the last retention run of a kind.
    async fn note_retention_run(
        &self,
        kind: RetentionKind,
        run: RetentionRun,
    ) -> Result<(), StoreError>;

    /// Returns whether any data of a kind is dated before `before`: a report by its arrival, a
    /// message by its first report, a delivery by its completion, an audit entry by its time, a
    /// request that waits to be forwarded by its arrival. Messages of a channel with a shorter
    /// retention of its own count by that and `now`.
    async fn has_older(
        &self,
        kind: RetentionKind,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Returns when the first report of the log arrived, ignoring released ones.
    async fn first_report(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Releases the reports that are in the log and dated after `now`: they no longer hold the log
    /// and are removed with their neighbours.
    async fn release_reports_after(&self, now: Timestamp) -> Result<(), StoreError>;

    /// Stores a new erasure with nothing erased yet. Any process may continue it, so the address is
    /// stored until it is finished, and no longer. An id that exists changes nothing.
    async fn begin_erasure(
        &self,
        id: ErasureId,
        order: &ErasureOrder,
        recipient: &Recipient,
    ) -> Result<(), StoreError>;

    /// Resumes an erasure: examines at most `budget` messages or reports and erases what matches.
    /// A step is atomic; racing steps run one after the other. The erasure is finished when there
    /// was nothing more to examine; then this changes nothing. `None` if there is no such erasure.
    async fn continue_erasure(
        &self,
        id: ErasureId,
        budget: NonZeroU32,
        now: Timestamp,
    ) -> Result<Option<Erasure>, StoreError>;

    /// Returns the oldest unfinished erasure.
    async fn unfinished_erasure(&self) -> Result<Option<ErasureId>, StoreError>;

    /// Returns one erasure.
    async fn erasure(&self, id: ErasureId) -> Result<Option<Erasure>, StoreError>;

    /// Returns a page of all erasures, the latest first. `after` is the last one of the page
    /// before.
    async fn erasures(
        &self,
        after: Option<ErasureId>,
        size: PageSize,
    ) -> Result<Page<Erasure, ErasureId>, StoreError>;
}

/// What retention removes, each kind independently of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum RetentionKind {
    /// Reports of the log.
    Reports,
    /// Messages; they are removed after their reports.
    Messages,
    /// Deliveries.
    Deliveries,
    /// Entries of the audit log.
    Audit,
    /// Requests that wait to be forwarded.
    ForwardedRequests,
}

impl RetentionKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [
        Self::Reports,
        Self::Messages,
        Self::Deliveries,
        Self::Audit,
        Self::ForwardedRequests,
    ];

    /// Returns the name used in output, metrics and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A run of retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionRun {
    /// When it ran, by the store's clock.
    pub at: Timestamp,
    /// Whether the clock has jumped since, so that nothing is removed until an operator confirms
    /// the clock.
    pub held_back: bool,
}

/// The clock that decides what is too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionClock {
    /// The current time.
    pub now: Timestamp,
    /// The last stored run.
    pub last_run: Option<RetentionRun>,
}

/// What one step of retention did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pruning {
    /// How many single rows it removed.
    pub rows: u64,
    /// How many whole days it removed.
    pub days: u32,
    /// Whether there is nothing more to remove for now.
    pub done: bool,
}

/// When, where and why an erasure was requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasureOrder {
    /// When it was requested.
    pub at: Timestamp,
    /// The interface used.
    pub through: RequestedVia,
    /// The reason, if one was given.
    pub reason: Option<ErasureReason>,
    /// The hash of the recipient: the end of the erasure removes its entries from the index of
    /// recipients.
    pub recipient_hash: RecipientHash,
}
