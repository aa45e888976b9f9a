//! The log of reports as its readers see it.

use std::fmt;

use crate::{LoggedReport, MessageState};

/// A place in the log. Readers keep the last one they are done with and go on
/// behind it; what the number means is nobody's business but the store's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPosition(pub i64);

impl LogPosition {
    /// Before the first report there can be.
    pub const START: Self = Self(0);
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One report as a reader of the log gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Where it is handed out, which may be behind its own place in the log:
    /// never before an earlier revision of its message. Entries may share a
    /// position; they are handed out together, so a reader that has dealt with
    /// some of them only goes on from the position before.
    pub position: LogPosition,
    /// The report, its revision, and what it did.
    pub report: LoggedReport,
    /// Where its message stood just before, by the reports of lower revisions.
    pub before: MessageState,
}

impl LogEntry {
    /// Where its message stood just after.
    #[must_use]
    pub fn after(&self) -> MessageState {
        let mut state = self.before.clone();
        state.absorb(&self.report.report);
        state
    }
}
