//! A channel that receives no reports.

use crate::Timestamp;
use crate::trouble::{Finding, Thresholds};

use super::duration;

/// How many times the usual gap between two reports is silence.
const TIMES_USUAL_GAP: f64 = 5.0;

/// How many reports must have been expected.
const MIN_EXPECTED: f64 = 20.0;

/// What is known of the reports of a channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Silence {
    /// When the last report arrived.
    pub last_report_at: Timestamp,
    /// The gap in seconds that 99 % of the gaps at this hour of the week do not exceed; `None` if
    /// none is known.
    pub usual_gap_seconds: Option<f64>,
    /// How many reports usually arrive in the hours since the last one.
    pub expected: f64,
}

impl Silence {
    /// Returns how long a channel may be silent at this hour of the week, in seconds.
    fn limit_seconds(&self, thresholds: Thresholds) -> f64 {
        let least = 60.0 * f64::from(thresholds.silence_minutes());
        let usual = self.usual_gap_seconds.unwrap_or_default();
        least.max(TIMES_USUAL_GAP * usual)
    }
}

/// Finds a channel that is silent for longer than usual although reports were expected.
#[must_use]
pub fn silence(silence: &Silence, thresholds: Thresholds, now: Timestamp) -> Option<Finding> {
    let since = silence.last_report_at;
    let micros = now.unix_micros().saturating_sub(since.unix_micros());
    #[expect(clippy::cast_precision_loss, reason = "durations are far below 2^53")]
    let seconds = micros as f64 / 1_000_000.0;
    if seconds <= silence.limit_seconds(thresholds) || silence.expected < MIN_EXPECTED {
        return None;
    }
    let expected = silence.expected;
    let seen = match silence.usual_gap_seconds {
        Some(gap) => format!(
            "No report; about {expected:.0} were expected since the last one, and 99 % of the gaps \
             at this hour are shorter than {}.",
            duration(gap)
        ),
        None => format!("No report; about {expected:.0} were expected since the last one."),
    };
    Some(Finding { since, seen })
}
