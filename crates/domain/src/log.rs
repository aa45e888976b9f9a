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

/// What a reader calls the place it keeps on the server. It stands in paths, so
/// it is made of characters that need no escaping there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CursorName(String);

/// The text is no name of a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name of a cursor is 1 to 64 letters, digits and -._~ and not only dots")]
pub struct InvalidCursorName;

impl CursorName {
    /// Takes a name as it stands in a path.
    pub fn parse(text: &str) -> Result<Self, InvalidCursorName> {
        if crate::text::is_path_segment(text, 64) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidCursorName)
        }
    }

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CursorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_name_needs_no_escaping_in_a_path() {
        for good in ["a", "warehouse-2", "A.b_c~", "..a", &"x".repeat(64)] {
            assert_eq!(
                CursorName::parse(good).map(|name| name.0).as_deref(),
                Ok(good)
            );
        }
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "a b",
            "é",
            "a%",
            "a\0",
            &"x".repeat(65),
        ] {
            assert_eq!(CursorName::parse(bad), Err(InvalidCursorName), "{bad}");
        }
    }
}
