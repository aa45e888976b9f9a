//! Retrying steps that lose a race to another transaction: the server ends one of the two, and a
//! retry succeeds.
//!
//! All writers lock rows in one order, so only a step of several statements, or another program
//! on the same tables, can lose a race.

use crate::error::{lost_a_race, message};

const MAX_RETRIES: usize = 5;

/// Why a step failed.
pub(crate) trait StepFailure {
    /// Returns the server's error if it was a lost race.
    fn lost_race(&self) -> Option<&sqlx::Error>;
}

impl StepFailure for sqlx::Error {
    fn lost_race(&self) -> Option<&sqlx::Error> {
        lost_a_race(self).then_some(self)
    }
}

/// Executes a step, and again while it loses races.
pub(crate) async fn again<T, E: StepFailure, F: Future<Output = Result<T, E>>>(
    step: impl Fn() -> F,
) -> Result<T, E> {
    for retry in 1..=MAX_RETRIES {
        let outcome = step().await;
        let Some(error) = outcome.as_ref().err().and_then(StepFailure::lost_race) else {
            return outcome;
        };
        let error = message(error);
        tracing::warn!(
            error,
            retry,
            "a step lost a race to another transaction; retrying"
        );
    }
    step().await
}
