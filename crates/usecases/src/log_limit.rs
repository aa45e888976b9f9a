//! Limits log lines about a fault that repeats.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Minimum time between two lines of a kind.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Decides whether a log line of one kind is written, and counts those that are not.
#[derive(Debug, Default)]
pub(crate) struct LogLimit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    written_at: Option<Instant>,
    left_out: u64,
}

impl LogLimit {
    /// Returns how many lines were left out since the last one if a line may be written at
    /// `now`, and `None` if this one is left out too.
    pub(crate) fn allow(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |at| now.saturating_duration_since(at) < LINE_INTERVAL;
        if state.written_at.is_some_and(recent) {
            state.left_out = state.left_out.saturating_add(1);
            return None;
        }
        state.written_at = Some(now);
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_written_per_interval_with_the_count_of_the_others() {
        let limit = LogLimit::default();
        let began = Instant::now();
        assert_eq!(limit.allow(began), Some(0));
        for second in 1..10 {
            assert_eq!(limit.allow(began + Duration::from_secs(second)), None);
        }
        assert_eq!(limit.allow(began + LINE_INTERVAL), Some(9));
        assert_eq!(limit.allow(began + LINE_INTERVAL * 2), Some(0));
    }
}
