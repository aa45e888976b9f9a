//! Where reports are kept while the store cannot take them.

use std::time::Instant;

use async_trait::async_trait;
use domain::{IntegratorName, Report};

use crate::error::Source;

/// A local, durable, first-in-first-out keep of reports.
///
/// It stands between an acknowledged report and a store that is away, so it
/// must survive what the process does not: whatever was appended is there after
/// a crash at any moment. It holds reports, not decisions; what a report does is
/// decided when it is recorded.
///
/// Every method answers within some seconds, however slow the disk is:
/// [`JournalError::TooSlow`] says that nobody knows yet whether it was done.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Adds entries at the end, all of them or none. They are durable when this
    /// returns `Ok`. Adding none asks the journal whether it would take entries
    /// now: as many bytes as it refused the last time ([`JournalUsage::refusing`]),
    /// or those of one entry.
    async fn append(&self, entries: &[JournalEntry]) -> Result<(), JournalError>;

    /// The oldest entries, at most `max`, in the order they were appended, and
    /// the mark to [`remove`](Self::remove) them by. Asking again gives the same
    /// entries until they are removed. Parts that are damaged, or not there any
    /// more, are reported in the log and passed over: if nothing else is left
    /// the mark leads behind them. What is left of them is set aside when they
    /// are removed.
    async fn oldest(&self, max: usize) -> Result<(Vec<JournalEntry>, JournalMark), JournalError>;

    /// Removes all entries up to a mark. After a crash removed entries may come
    /// back; recording them again is harmless.
    async fn remove(&self, mark: JournalMark) -> Result<(), JournalError>;

    /// How much is in it. Never waits for the disk.
    fn usage(&self) -> JournalUsage;
}

/// A report in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// Whose report it is.
    pub integrator: IntegratorName,
    /// The report, with its real time of arrival.
    pub report: Report,
}

/// A place in a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JournalMark {
    /// Counts the files of the journal.
    pub segment: u64,
    /// Bytes into that file.
    pub offset: u64,
}

/// How much is in a journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalUsage {
    /// Entries that wait to be recorded.
    pub entries: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Bytes it may take at most.
    pub capacity: u64,
    /// Files with damaged parts that were set aside, or will be when they are
    /// removed, to be looked at by people.
    pub set_aside: u64,
    /// Damaged places that were found: at each, one entry or more is lost.
    pub damaged: u64,
    /// Why it took nothing when it was last asked; `None` if it did.
    pub refusing: Option<Refusing>,
}

/// A journal that takes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusing {
    /// Why.
    pub why: Refusal,
    /// Since when it has taken nothing.
    pub since: Instant,
}

/// Why a journal takes nothing.
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
    /// The words for people.
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
    /// Whether it took nothing when it was last asked, or cannot take anything.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.refusing.is_some() || self.bytes >= self.capacity
    }

    /// Whether four fifths of the capacity are used.
    #[must_use]
    pub const fn is_filling_up(&self) -> bool {
        self.bytes >= self.capacity / 5 * 4
    }
}

/// Why a journal did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It has as much as it may have.
    #[error("the journal is full")]
    Full,
    /// The disk did not answer in time; it may do what was asked all the same.
    #[error("the journal's disk did not answer in time")]
    TooSlow,
    /// The disk did not do what it should.
    #[error("the journal failed")]
    Failed(#[source] Source),
}

impl JournalError {
    /// The same in a word, for those who ask later.
    #[must_use]
    pub const fn refusal(&self) -> Refusal {
        match self {
            Self::Full => Refusal::Full,
            Self::TooSlow => Refusal::TooSlow,
            Self::Failed(_) => Refusal::Failed,
        }
    }
}
