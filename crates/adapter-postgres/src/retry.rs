//! Steps that lose a race to another transaction: the server ends one of the two, and taken
//! again it will do.
//!
//! Whoever writes locks rows in one order, so it takes a step of several statements, or a
//! stranger in the tables, to lose one.

use crate::error::{lost_a_race, message};

/// How often a step is taken again.
const RACES: usize = 5;

/// Why a step failed.
pub(crate) trait StepFailure {
    /// What the server said, if that was a race.
    fn lost_race(&self) -> Option<&sqlx::Error>;
}

impl StepFailure for sqlx::Error {
    fn lost_race(&self) -> Option<&sqlx::Error> {
        lost_a_race(self).then_some(self)
    }
}

/// Takes a step, and again while it loses races.
pub(crate) async fn again<T, E: StepFailure, F: Future<Output = Result<T, E>>>(
    step: impl Fn() -> F,
) -> Result<T, E> {
    for race in 1..=RACES {
        let outcome = step().await;
        match outcome.as_ref().err().and_then(StepFailure::lost_race) {
            Some(error) => {
                let error = message(error);
                tracing::warn!(error, race, "a step lost a race and is taken again");
            }
            None => return outcome,
        }
    }
    step().await
}
