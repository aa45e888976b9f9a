//! Reconciliation that fails.

use crate::Timestamp;
use crate::reconciliation::ReconciliationFigures;
use crate::text::clipped;
use crate::trouble::Finding;

/// How long the runs must have failed: 10 minutes, so that one that fails between two that succeed
/// is not found at the default interval.
const FAILING_MICROS: i64 = 10 * 60 * 1_000_000;

/// How much of the error is shown.
const ERROR_LENGTH_MAX: usize = 500;

/// Finds a channel of which no run of reconciliation has succeeded for ten minutes.
#[must_use]
pub fn reconciliation_failing(figures: &ReconciliationFigures, now: Timestamp) -> Option<Finding> {
    let since = figures.failing_since?;
    if now < since.plus_micros(FAILING_MICROS) {
        return None;
    }
    let seen = match &figures.last_error {
        Some(error) => {
            let error = clipped(error, ERROR_LENGTH_MAX);
            format!("No run of reconciliation succeeded since then. The last error: {error}.")
        }
        // The integrator answers, and the run is not over.
        None => "No run of reconciliation succeeded since then.".to_owned(),
    };
    Some(Finding { since, seen })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;

    fn at(minute: i64) -> Timestamp {
        Timestamp::EPOCH.plus_micros(minute * MINUTE)
    }

    #[test]
    fn reconciliation_fails_when_no_run_succeeded_for_ten_minutes() {
        let figures = |failing_since: Option<i64>, error: Option<&str>| ReconciliationFigures {
            failing_since: failing_since.map(at),
            last_error: error.map(str::to_owned),
            ..ReconciliationFigures::default()
        };
        let error = Some("Twilio refuses the API key");
        // The error is from a release that did not store since when.
        assert_eq!(reconciliation_failing(&figures(None, error), at(90)), None);
        assert_eq!(
            reconciliation_failing(&figures(Some(0), error), at(9)),
            None
        );
        let finding = reconciliation_failing(&figures(Some(0), error), at(10)).unwrap();
        let seen = "No run of reconciliation succeeded since then. The last error: Twilio refuses \
                    the API key.";
        assert_eq!((finding.since, finding.seen.as_str()), (at(0), seen));
        let answered = reconciliation_failing(&figures(Some(0), None), at(10)).unwrap();
        assert!(!answered.seen.contains("error"), "{answered:?}");
        let long = "x".repeat(5_000);
        let long = reconciliation_failing(&figures(Some(0), Some(&long)), at(10)).unwrap();
        assert!(long.seen.len() < 600);
    }
}
