//! The log of reports, as its readers see it.

use std::fmt;

use crate::{LoggedReport, MessageState};

/// A position in the log. Readers store the last one they have processed and continue after it.
/// Only stores compute with the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPosition(pub i64);

impl LogPosition {
    /// Before the first report.
    pub const START: Self = Self(0);
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a cursor. It is part of URL paths, so it consists of characters that need no
/// escaping there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CursorName(String);

/// The text is not a cursor name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name of a cursor is 1 to 64 letters, digits and -._~ and not only dots")]
pub struct InvalidCursorName;

impl CursorName {
    /// Parses a name.
    pub fn parse(text: &str) -> Result<Self, InvalidCursorName> {
        if crate::text::is_path_segment(text, 64) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidCursorName)
        }
    }

    /// Returns the name.
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

/// One report as it is read from the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// The position at which it is read, which may be after its own place in the log: never before
    /// an earlier revision of its message. Entries can share a position; they are read together, so
    /// a reader that has processed only some of them continues from the position before.
    pub position: LogPosition,
    /// The report, its revision and its effect.
    pub report: LoggedReport,
    /// The state of its message just before, by the reports of lower revisions.
    pub before: MessageState,
}

impl LogEntry {
    /// Returns the state of its message just after.
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
