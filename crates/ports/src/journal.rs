//! Reports that wait for the store.

use std::time::Instant;

use async_trait::async_trait;
use domain::{IntegratorName, Report};

use crate::error::Source;

/// A local, durable FIFO queue of reports that were acknowledged while the store was unavailable.
///
/// Appended entries survive a crash at any moment. The journal holds reports, not decisions: the
/// effect of a report is decided when it is recorded.
///
/// Every method returns within some seconds, however slow the disk is; after
/// [`JournalError::TooSlow`] the step may or may not have been done.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Appends entries atomically. They are durable when this returns `Ok`, except those at the
    /// returned indexes: they are too long for the journal, which takes every report whose fields
    /// are at most [`FIELDS_LENGTH_MAX`](domain::report::FIELDS_LENGTH_MAX) bytes long. Appending
    /// none tests whether the journal has room for as many bytes as it refused the last time
    /// ([`JournalUsage::refusing`]), or for one entry.
    async fn append(&self, entries: &[JournalEntry]) -> Result<Vec<usize>, JournalError>;

    /// Returns the oldest entries, at most `max`, in the order in which they were appended, and the
    /// mark to [`remove`](Self::remove) them by. Repeating the call returns the same entries until
    /// they are removed. Damaged or missing parts are logged and skipped: if nothing else is left,
    /// the mark is after them. A damaged file is set aside when its entries are removed.
    async fn oldest(&self, max: usize) -> Result<(Vec<JournalEntry>, JournalMark), JournalError>;

    /// Removes all entries up to a mark. After a crash removed entries may reappear; recording them
    /// again is harmless.
    async fn remove(&self, mark: JournalMark) -> Result<(), JournalError>;

    /// Returns how full it is, without waiting for the disk.
    fn usage(&self) -> JournalUsage;
}

/// A report in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// The integrator that sent the report.
    pub integrator: IntegratorName,
    /// The report, with its original time of arrival.
    pub report: Report,
}

/// A position in a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JournalMark {
    /// The number of a file of the journal.
    pub segment: u64,
    /// The offset in that file, in bytes.
    pub offset: u64,
}

/// How full a journal is, and how it is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalUsage {
    /// Entries that wait to be recorded.
    pub entries: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// The maximum number of bytes on disk.
    pub capacity: u64,
    /// Damaged files that were set aside for inspection, or will be once their entries are removed.
    pub set_aside: u64,
    /// Damaged places that were found: at each, one entry or more is lost.
    pub damaged: u64,
    /// Why the last append was refused; `None` if it was not.
    pub refusing: Option<Refusing>,
}

/// A journal that refuses entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusing {
    /// Why it refuses.
    pub why: Refusal,
    /// Since when it refuses.
    pub since: Instant,
}

/// Why a journal refuses entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// See [`JournalError::Full`].
    Full,
    /// See [`JournalError::TooSlow`].
    TooSlow,
    /// See [`JournalError::Failed`].
    Failed,
}

impl Refusal {
    /// Returns an explanation for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "it is full",
            Self::TooSlow => "its disk does not answer",
            Self::Failed => "its disk fails",
        }
    }
}

impl JournalUsage {
    /// Returns whether the journal refused the last append, or has no room.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.refusing.is_some() || self.bytes >= self.capacity
    }

    /// Returns whether 80 % of the capacity are used.
    #[must_use]
    pub const fn is_filling_up(&self) -> bool {
        self.bytes >= self.capacity / 5 * 4
    }
}

/// How a journal can fail.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Its capacity is used up.
    #[error("the journal is full")]
    Full,
    /// The disk did not answer in time; it may still complete the step.
    #[error("the journal's disk did not answer in time")]
    TooSlow,
    /// The disk failed.
    #[error("the journal failed")]
    Failed(#[source] Source),
}

impl JournalError {
    /// Returns the error without its source, to be shown later.
    #[must_use]
    pub const fn refusal(&self) -> Refusal {
        match self {
            Self::Full => Refusal::Full,
            Self::TooSlow => Refusal::TooSlow,
            Self::Failed(_) => Refusal::Failed,
        }
    }
}
