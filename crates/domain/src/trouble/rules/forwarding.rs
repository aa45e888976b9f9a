//! Requests that are not forwarded.

use crate::Timestamp;
use crate::forwarding::WaitingRequests;
use crate::text::clipped;
use crate::trouble::Finding;

/// How long the oldest request must have waited: 10 minutes. A few attempts that fail need no
/// operator.
const WAITING_MICROS: i64 = 10 * 60 * 1_000_000;

/// How much of the error is shown.
const ERROR_LENGTH_MAX: usize = 500;

/// Finds a channel of which a request has waited for ten minutes to be forwarded.
#[must_use]
pub fn forwarding_failing(waiting: &WaitingRequests, now: Timestamp) -> Option<Finding> {
    let since = waiting.oldest_at;
    if now < since.plus_micros(WAITING_MICROS) {
        return None;
    }
    let requests = match waiting.requests {
        1 => "1 request waits".to_owned(),
        count => format!("{count} requests wait"),
    };
    let seen = match &waiting.last_failure {
        Some(failure) => {
            let error = clipped(&failure.error, ERROR_LENGTH_MAX);
            format!("{requests} to be forwarded. The last error: {error}.")
        }
        None => format!("{requests} to be forwarded, and no server or worker sends them."),
    };
    Some(Finding { since, seen })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forwarding::ForwardingFailure;

    const MINUTE: i64 = 60_000_000;

    fn at(minute: i64) -> Timestamp {
        Timestamp::EPOCH.plus_micros(minute * MINUTE)
    }

    fn waiting(requests: u64, error: Option<&str>) -> WaitingRequests {
        WaitingRequests {
            requests,
            bytes: 100,
            oldest_at: at(0),
            last_failure: error.map(|error| ForwardingFailure {
                at: at(1),
                error: error.to_owned(),
            }),
        }
    }

    #[test]
    fn forwarding_fails_when_a_request_has_waited_for_ten_minutes() {
        let failed = waiting(3, Some("HTTP 503"));
        assert_eq!(forwarding_failing(&failed, at(9)), None);
        let finding = forwarding_failing(&failed, at(10)).unwrap();
        let seen = "3 requests wait to be forwarded. The last error: HTTP 503.";
        assert_eq!((finding.since, finding.seen.as_str()), (at(0), seen));
        let untried = forwarding_failing(&waiting(1, None), at(10)).unwrap();
        let seen = "1 request waits to be forwarded, and no server or worker sends them.";
        assert_eq!(untried.seen, seen);
        let long = "x".repeat(5_000);
        let long = forwarding_failing(&waiting(1, Some(&long)), at(10)).unwrap();
        assert!(long.seen.len() < 600);
    }
}
