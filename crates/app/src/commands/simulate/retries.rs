//! Which failed calls are repeated, and how often. Twilio reads this from the fragment of the
//! callback URL; of other integrators it is known.

use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallRetries {
    limit: u32,
    /// After a failed connection, a timeout, a 4xx, a 5xx.
    on: [bool; 4],
}

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallFailure {
    /// No connection, or a broken one.
    Connection,
    Timeout,
    /// An unexpected response.
    Status(u16),
}

/// How long a report may take, all calls together.
pub const REPORT_TIMEOUT: Duration = Duration::from_secs(15);

impl CallRetries {
    /// Retries of an integrator that repeats a request until it is answered with success.
    pub const ALWAYS: Self = Self {
        limit: 5,
        on: [true; 4],
    };

    /// Sends every request once.
    pub const NEVER: Self = Self {
        limit: 0,
        on: [false; 4],
    };

    /// Parses `rc` and `rp` of a fragment. Without them, a failed connection is retried five times.
    pub fn of_fragment(fragment: Option<&str>) -> Self {
        let find = |name: &str| {
            let mut parts = fragment
                .unwrap_or_default()
                .split('&')
                .filter_map(|part| part.split_once('='));
            parts
                .find(|(each, _)| *each == name)
                .map(|(_, value)| value)
        };
        let on = |kind| {
            find("rp")
                .unwrap_or("ct")
                .split(',')
                .any(|each| each == kind || each == "all")
        };
        Self {
            limit: find("rc")
                .and_then(|count| count.parse().ok())
                .unwrap_or(5)
                .min(5),
            on: ["ct", "rt", "4xx", "5xx"].map(on),
        }
    }

    /// Returns the pause before the next call after `calls` failed; `None` if there is none.
    pub fn pause(self, failure: CallFailure, calls: u32) -> Option<Duration> {
        let [connection, timeout, client_error, server_error] = self.on;
        let again = match failure {
            CallFailure::Connection => connection,
            CallFailure::Timeout => timeout,
            CallFailure::Status(400..500) => client_error,
            CallFailure::Status(500..) => server_error,
            CallFailure::Status(_) => false,
        };
        (again && calls <= self.limit)
            .then(|| Duration::from_millis(100) * 2_u32.saturating_pow(calls))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragment_selects_what_is_retried() {
        let retries = CallRetries::of_fragment(Some("rc=2&rp=rt,5xx"));
        assert_eq!(retries.pause(CallFailure::Connection, 1), None);
        assert!(retries.pause(CallFailure::Timeout, 1).is_some());
        assert!(retries.pause(CallFailure::Status(503), 2).is_some());
        assert_eq!(retries.pause(CallFailure::Status(503), 3), None);
        assert_eq!(retries.pause(CallFailure::Status(404), 1), None);
    }

    #[test]
    fn only_connections_are_retried_without_a_fragment() {
        let retries = CallRetries::of_fragment(None);
        assert!(retries.pause(CallFailure::Connection, 5).is_some());
        assert_eq!(retries.pause(CallFailure::Connection, 6), None);
        assert_eq!(retries.pause(CallFailure::Status(500), 1), None);
    }
}
