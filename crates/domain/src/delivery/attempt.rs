//! Attempts to deliver an event.

use std::fmt;

use crate::Timestamp;
use crate::webhook::AnswerExcerpt;

/// How many attempts of a delivery are stored.
pub const LAST_ATTEMPTS_MAX: usize = 10;

/// The error of an attempt, at most 300 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptError(String);

impl AttemptError {
    /// Creates an error, truncating a long text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(crate::text::clipped(text, 300))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AttemptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One attempt to deliver an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it started.
    pub at: Timestamp,
    /// Its duration in milliseconds.
    pub took_ms: u32,
    /// The HTTP status of the response, if there was one.
    pub status: Option<u16>,
    /// The error; `None` if it succeeded.
    pub error: Option<AttemptError>,
    /// The beginning of the response.
    pub answer: Option<AnswerExcerpt>,
}

/// The number of attempts, and the last [`LAST_ATTEMPTS_MAX`] of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    count: u32,
    last: Vec<Attempt>,
}

impl Attempts {
    /// Returns the number of attempts.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Returns how many attempts started at this time or later; the total number if more than the
    /// stored ones did.
    #[must_use]
    pub fn count_since(&self, since: Timestamp) -> u32 {
        let recent = self.last.iter().filter(|each| each.at >= since).count();
        if recent == LAST_ATTEMPTS_MAX {
            return self.count;
        }
        u32::try_from(recent).unwrap_or(self.count)
    }

    /// Returns the last attempts, oldest first.
    #[must_use]
    pub fn last(&self) -> &[Attempt] {
        &self.last
    }

    /// Adds an attempt.
    pub fn push(&mut self, attempt: Attempt) {
        self.count = self.count.saturating_add(1);
        self.last.push(attempt);
        if self.last.len() > LAST_ATTEMPTS_MAX {
            self.last.remove(0);
        }
    }

    /// Returns the last failed attempt.
    #[must_use]
    pub fn last_error(&self) -> Option<&Attempt> {
        self.last.iter().rev().find(|each| each.error.is_some())
    }

    /// Replaces the stored attempts by one that tells of the erasure. The number stays.
    pub fn erase(&mut self, now: Timestamp) {
        self.last = vec![Attempt {
            at: now,
            took_ms: 0,
            status: None,
            error: Some(AttemptError::new("erased")),
            answer: None,
        }];
    }

    /// Creates a value from [`count`](Self::count) and [`last`](Self::last).
    #[must_use]
    pub fn from_parts(count: u32, mut last: Vec<Attempt>) -> Self {
        last.drain(..last.len().saturating_sub(LAST_ATTEMPTS_MAX));
        Self { count, last }
    }
}
