//! Reading the log of reports, and the cursors of its readers.

use std::num::NonZeroU16;

use async_trait::async_trait;
use domain::{LogEntry, LogPosition, Timestamp};

use crate::StoreError;

/// Returns every report of the log once, in an order that is the same for every reader.
///
/// Duplicate reports are not in the log. A report can be read soon after it was recorded, though
/// not always at once: a transaction in progress may still write reports that come before it.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Reads the next reports after a position, or from the oldest one.
    ///
    /// - Continuing after [`LogPage::next`] of each page returns every report once, whatever is
    ///   written meanwhile; nothing is ever inserted before a position that was returned. Reading
    ///   again from the same position returns the same entries, and perhaps more.
    /// - The reports of one message come in the order of their revisions.
    /// - [`LogEntry::before`] is the state that the reports of lower revisions lead to. For those
    ///   that retention has removed, it is derived from what the message still stores about the
    ///   time before the report arrived.
    /// - It examines `limit` reports. A page may have fewer entries, even none though there is
    ///   more, and a few more if they share the last position.
    async fn read(
        &self,
        after: Option<LogPosition>,
        limit: NonZeroU16,
    ) -> Result<LogRead, StoreError>;

    /// Returns the end of the log: everything recorded from now on comes after it, and reading up
    /// to it is possible now.
    async fn head(&self) -> Result<LogPosition, StoreError>;

    /// Returns a position from which all reports that arrived at `moment` or later are read;
    /// earlier ones may be among them. Returns the head if there are none, and the oldest position
    /// if some of them may have been removed.
    ///
    /// The cost is bounded on an engine made for many reports a day: the position is up to some
    /// minutes early if many arrived in these. It may be too late if a receiver's clock is ahead
    /// by more than a minute.
    async fn seek(&self, moment: Timestamp) -> Result<LogPosition, StoreError>;

    /// Counts the reports after a position, up to `at_most`, without reading them. Reports that are
    /// recorded and cannot be read yet count as well.
    async fn count_after(
        &self,
        position: LogPosition,
        at_most: NonZeroU16,
    ) -> Result<Remaining, StoreError>;

    /// Returns the position of the cursor of this name.
    async fn cursor(&self, name: &str) -> Result<Option<LogPosition>, StoreError>;

    /// Moves a cursor, forwards or back, if it is at `from` (`None`: it does not exist). Returns
    /// `false` and changes nothing if it is not: of several that move it from the same position one
    /// succeeds.
    async fn advance_cursor(
        &self,
        name: &str,
        from: Option<LogPosition>,
        to: LogPosition,
    ) -> Result<bool, StoreError>;

    /// Removes a cursor, wherever it is. Absence is no error.
    async fn remove_cursor(&self, name: &str) -> Result<(), StoreError>;

    /// Returns all cursors, by the bytes of their names.
    async fn cursors(&self) -> Result<Vec<Cursor>, StoreError>;
}

/// The part of the log after a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// How many reports.
    pub reports: u64,
    /// When the oldest of them arrived; `None` if there are none.
    pub since: Option<Timestamp>,
    /// Whether retention has removed some of them.
    pub pruned: bool,
}

/// The result of reading the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogRead {
    /// The next reports.
    Page(LogPage),
    /// Retention has removed reports after the reader's position, so it has missed some.
    Pruned {
        /// The oldest position that can be read from.
        oldest: LogPosition,
    },
}

/// A part of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPage {
    /// Its reports, by position.
    pub entries: Vec<LogEntry>,
    /// Where to continue; where the page was read from if there is nothing more.
    pub next: LogPosition,
    /// Whether there was nothing more to return.
    pub complete: bool,
}

/// The stored position of a reader of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Its name.
    pub name: String,
    /// The reader has processed everything up to this position.
    pub position: LogPosition,
}
