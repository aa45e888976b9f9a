//! Attempts to deliver an event.

use std::fmt;

use serde_json::Value;

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

/// The text is not the stored form of attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("attempts are kept as a JSON array of arrays of time, duration, status, error and answer")]
pub struct InvalidAttempts;

impl Attempt {
    fn to_value(&self) -> Value {
        let mut value = vec![
            self.at.unix_micros().into(),
            self.took_ms.into(),
            self.status.into(),
            self.error.as_ref().map(AttemptError::as_str).into(),
            self.answer.as_ref().map(AnswerExcerpt::as_str).into(),
        ];
        // Most attempts have neither of the last two fields.
        while value.last().is_some_and(Value::is_null) {
            value.pop();
        }
        Value::Array(value)
    }

    fn from_value(value: &Value) -> Result<Self, InvalidAttempts> {
        let field = |place| value.get(place).filter(|field: &&Value| !field.is_null());
        let number = |place| {
            let number = field(place).map(|field| field.as_i64().ok_or(InvalidAttempts));
            number.transpose()
        };
        let text = |place| {
            let text = field(place).map(|field| field.as_str().ok_or(InvalidAttempts));
            text.transpose()
        };
        let at = number(0)?.ok_or(InvalidAttempts)?;
        let took_ms = number(1)?.ok_or(InvalidAttempts)?;
        let status = number(2)?.map(u16::try_from).transpose();
        Ok(Self {
            at: Timestamp::from_unix_micros(at).map_err(|_| InvalidAttempts)?,
            took_ms: u32::try_from(took_ms).map_err(|_| InvalidAttempts)?,
            status: status.map_err(|_| InvalidAttempts)?,
            error: text(3)?.map(AttemptError::new),
            answer: text(4)?.map(|text| AnswerExcerpt::of(text.as_bytes())),
        })
    }

    /// Returns a text that [`Attempt::from_json`] parses.
    #[must_use]
    pub fn to_json(&self) -> String {
        self.to_value().to_string()
    }

    /// Parses the result of [`Attempt::to_json`].
    pub fn from_json(text: &str) -> Result<Self, InvalidAttempts> {
        let value: Value = serde_json::from_str(text).map_err(|_| InvalidAttempts)?;
        Self::from_value(&value)
    }
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

    /// Returns the last attempts as a text that [`Attempts::from_parts`] parses.
    #[must_use]
    pub fn last_to_json(&self) -> String {
        let last = self.last.iter().map(Attempt::to_value);
        Value::Array(last.collect()).to_string()
    }

    /// Creates a value from [`count`](Self::count) and the result of [`Attempts::last_to_json`].
    pub fn from_parts(count: u32, last: &str) -> Result<Self, InvalidAttempts> {
        let last: Vec<Value> = serde_json::from_str(last).map_err(|_| InvalidAttempts)?;
        let oldest = last.len().saturating_sub(LAST_ATTEMPTS_MAX);
        let last = last.iter().skip(oldest).map(Attempt::from_value);
        Ok(Self {
            count,
            last: last.collect::<Result<_, _>>()?,
        })
    }
}
