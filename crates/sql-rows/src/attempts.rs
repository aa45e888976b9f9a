//! The JSON text in which attempts are stored: an array for each, of time, duration, status, error
//! and response, without trailing nulls.

use domain::Timestamp;
use domain::delivery::{Attempt, AttemptError, Attempts};
use domain::webhook::AnswerExcerpt;
use serde::Deserialize;
use serde_json::Value;

use ports::error::Source;

#[derive(Deserialize)]
struct StoredAttempt(
    i64,
    u32,
    #[serde(default)] Option<u16>,
    #[serde(default)] Option<String>,
    #[serde(default)] Option<String>,
);

impl TryFrom<StoredAttempt> for Attempt {
    type Error = Source;

    fn try_from(stored: StoredAttempt) -> Result<Self, Source> {
        let StoredAttempt(at, took_ms, status, error, answer) = stored;
        Ok(Self {
            at: Timestamp::from_unix_micros(at)?,
            took_ms,
            status,
            error: error.as_deref().map(AttemptError::new),
            answer: answer.map(|text| AnswerExcerpt::of(text.as_bytes())),
        })
    }
}

/// Returns a text that [`attempt_from_json`] parses.
#[must_use]
pub fn attempt_to_json(attempt: &Attempt) -> String {
    to_value(attempt).to_string()
}

/// Parses the result of [`attempt_to_json`].
pub fn attempt_from_json(text: &str) -> Result<Attempt, Source> {
    serde_json::from_str::<StoredAttempt>(text)?.try_into()
}

/// Returns the last attempts as a text that [`attempts_from_json`] parses.
#[must_use]
pub fn attempts_to_json(attempts: &Attempts) -> String {
    Value::Array(attempts.last().iter().map(to_value).collect()).to_string()
}

/// Parses the result of [`attempts_to_json`]; `count` is the number of all attempts.
pub fn attempts_from_json(count: u32, text: &str) -> Result<Attempts, Source> {
    let last: Vec<StoredAttempt> = serde_json::from_str(text)?;
    let last: Result<_, _> = last.into_iter().map(Attempt::try_from).collect();
    Ok(Attempts::from_parts(count, last?))
}

fn to_value(attempt: &Attempt) -> Value {
    let mut value = vec![
        attempt.at.unix_micros().into(),
        attempt.took_ms.into(),
        attempt.status.into(),
        attempt.error.as_ref().map(AttemptError::as_str).into(),
        attempt.answer.as_ref().map(AnswerExcerpt::as_str).into(),
    ];
    // Most attempts have neither of the last two fields.
    while value.last().is_some_and(Value::is_null) {
        value.pop();
    }
    Value::Array(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn attempt(micros: i64) -> Attempt {
        Attempt {
            at: Timestamp::from_unix_micros(micros).unwrap(),
            took_ms: 120,
            status: Some(200),
            error: None,
            answer: None,
        }
    }

    #[test]
    fn successful_attempts_are_stored_in_few_bytes() {
        let attempts = Attempts::from_parts(1, vec![attempt(1_795_370_777_000_001)]);
        assert_eq!(attempts_to_json(&attempts), "[[1795370777000001,120,200]]");
    }

    #[rstest]
    #[case("")]
    #[case("{}")]
    #[case("[[]]")]
    #[case("[[1]]")]
    #[case("[[1,2,70000]]")]
    #[case("[[1,-2]]")]
    #[case("[[1,2,3,4]]")]
    #[case("[1]")]
    fn invalid_attempts_are_refused(#[case] text: &str) {
        assert!(attempts_from_json(1, text).is_err());
    }

    proptest! {
        #[test]
        fn attempts_are_parsed_from_their_text(
            several in proptest::collection::vec(
                (
                    any::<i32>(),
                    any::<u32>(),
                    any::<Option<u16>>(),
                    any::<Option<String>>(),
                    any::<Option<Vec<u8>>>(),
                ),
                0..12,
            ),
        ) {
            let mut attempts = Attempts::default();
            for (micros, took_ms, status, error, answer) in several {
                let attempt = Attempt {
                    took_ms,
                    status,
                    error: error.as_deref().map(AttemptError::new),
                    answer: answer.as_deref().map(AnswerExcerpt::of),
                    ..attempt(micros.into())
                };
                let parsed = attempt_from_json(&attempt_to_json(&attempt));
                prop_assert_eq!(parsed.ok(), Some(attempt.clone()));
                attempts.push(attempt);
            }
            let text = attempts_to_json(&attempts);
            prop_assert!(!text.contains("\\u0000"), "{text}");
            prop_assert_eq!(attempts_from_json(attempts.count(), &text).ok(), Some(attempts));
        }
    }
}
