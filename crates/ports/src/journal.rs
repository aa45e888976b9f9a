//! Where reports are kept while the store cannot take them.

use async_trait::async_trait;
use domain::{IntegratorName, Report};

use crate::error::Source;

/// A local, durable, first-in-first-out keep of reports.
///
/// It stands between an acknowledged report and a store that is away, so it
/// must survive what the process does not: whatever was appended is there after
/// a crash at any moment. It holds reports, not decisions; what a report does is
/// decided when it is recorded.
#[async_trait]
pub trait ReportJournal: Send + Sync {
    /// Adds entries at the end, all of them or none. They are durable when this
    /// returns `Ok`.
    async fn append(&self, entries: &[JournalEntry]) -> Result<(), JournalError>;

    /// The oldest entries, at most `max`, in the order they were appended, and
    /// the mark to [`remove`](Self::remove) them by. Asking again gives the same
    /// entries until they are removed. Parts that are damaged are set aside,
    /// reported in the log, and never given out.
    async fn oldest(&self, max: usize) -> Result<(Vec<JournalEntry>, JournalMark), JournalError>;

    /// Removes all entries up to a mark. After a crash removed entries may come
    /// back; recording them again is harmless.
    async fn remove(&self, mark: JournalMark) -> Result<(), JournalError>;

    /// How much is in it.
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
    /// Files with damaged parts that were set aside, to be looked at by people.
    pub set_aside: u64,
}

impl JournalUsage {
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
    /// The disk did not do what it should.
    #[error("the journal failed")]
    Failed(#[source] Source),
}
