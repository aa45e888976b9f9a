//! Reading the log of reports from its beginning to its end, and on.

use std::num::NonZeroU16;

use async_trait::async_trait;
use domain::{LogEntry, LogPosition, Timestamp};

use crate::StoreError;

/// Hands out every report of the log once, in an order that every reader sees.
///
/// Reports that are duplicates are not in the log. A report is handed out soon
/// after it was recorded, though not always at once: somebody may still be
/// writing whose reports come before it.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// The next reports behind a position, or from the oldest there is.
    ///
    /// - Reading on behind [`LogPage::next`] of each page hands out every
    ///   report once, whatever others write meanwhile; nothing ever appears
    ///   behind a reader's back. Reading again from the same position hands out
    ///   the same entries again, and perhaps more.
    /// - The reports of one message come in the order of their revisions.
    /// - [`LogEntry::before`] is what the reports of lower revisions come to. Of
    ///   those that retention has removed, it is what the message still says
    ///   of the time before the report arrived.
    /// - It looks at `limit` reports. A page may have fewer entries, also none
    ///   though there is more, and a few more if they share the last position.
    async fn read(
        &self,
        after: Option<LogPosition>,
        limit: NonZeroU16,
    ) -> Result<LogRead, StoreError>;

    /// Where the log ends: whatever is recorded from now on is handed out
    /// behind it, and reading up to it is possible now.
    async fn head(&self) -> Result<LogPosition, StoreError>;

    /// Where to read from to get all reports that arrived at `moment` or later;
    /// earlier ones may be among them. The head if there are none, the oldest
    /// position there is if some of them may be gone.
    ///
    /// What it costs is bounded where the store is fit for many reports a day: it
    /// begins up to some minutes earlier then, if many came in these. Clocks of
    /// receivers that are ahead by more than a minute may be believed too much.
    async fn position_at(&self, moment: Timestamp) -> Result<LogPosition, StoreError>;

    /// How much there is behind a position, without reading it: at most `at_most`
    /// reports are counted. Reports that are recorded and not handed out yet
    /// count as well.
    async fn behind(
        &self,
        position: LogPosition,
        at_most: NonZeroU16,
    ) -> Result<Remaining, StoreError>;
}

/// What of the log is behind a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// How many reports.
    pub reports: u64,
    /// When the oldest of them arrived; `None` if there are none.
    pub since: Option<Timestamp>,
    /// Whether retention has removed some of them.
    pub pruned: bool,
}

/// What came of reading the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogRead {
    /// The next reports.
    Page(LogPage),
    /// Behind the reader's position retention has removed reports, so it has
    /// missed some. Whoever decides to go on does so from `oldest`.
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
    /// Where to go on; where the page was read from if there is nothing more.
    pub next: LogPosition,
    /// Whether there was nothing more to hand out.
    pub complete: bool,
}

/// Where readers of the log have got to, kept under a name for each.
#[async_trait]
pub trait LogCursors: Send + Sync {
    /// The position under a name.
    async fn load(&self, name: &str) -> Result<Option<LogPosition>, StoreError>;

    /// Moves a cursor on, or back, if it stands where the caller thinks it does
    /// (`None`: nowhere yet). `false`, and nothing is changed, if it does not:
    /// of several that move it from the same position one succeeds.
    async fn advance(
        &self,
        name: &str,
        from: Option<LogPosition>,
        to: LogPosition,
    ) -> Result<bool, StoreError>;

    /// Forgets a cursor, wherever it stands; that there is none is no error.
    async fn remove(&self, name: &str) -> Result<(), StoreError>;

    /// All cursors, by the bytes of their names.
    async fn cursors(&self) -> Result<Vec<Cursor>, StoreError>;
}

/// Where a reader of the log has got to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The name it is kept under.
    pub name: String,
    /// What its reader is done with.
    pub position: LogPosition,
}
