//! What is tried again, and how often. Twilio reads it from the fragment of
//! the callback URL.

use std::time::Duration;

/// How one report is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tries {
    retries: u32,
    /// After a failed connection, a time-out, a 4xx, a 5xx.
    on: [bool; 4],
}

/// What came of a try that was no success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There was no connection, or it broke.
    Connection,
    /// There was no answer in time.
    Timeout,
    /// This was the answer.
    Status(u16),
}

/// How long a report may take, all tries together.
pub const TIME_LIMIT: Duration = Duration::from_secs(15);

impl Tries {
    /// `rc` and `rp` of a fragment. What it leaves out: five retries, when
    /// there was no connection.
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
            retries: find("rc")
                .and_then(|count| count.parse().ok())
                .unwrap_or(5)
                .min(5),
            on: ["ct", "rt", "4xx", "5xx"].map(on),
        }
    }

    /// How long to wait before trying again, if it is tried again at all.
    pub fn pause(self, trouble: Trouble, tried: u32) -> Option<Duration> {
        let [connection, timeout, client_error, server_error] = self.on;
        let again = match trouble {
            Trouble::Connection => connection,
            Trouble::Timeout => timeout,
            Trouble::Status(400..500) => client_error,
            Trouble::Status(500..) => server_error,
            Trouble::Status(_) => false,
        };
        (again && tried <= self.retries)
            .then(|| Duration::from_millis(100) * 2_u32.saturating_pow(tried))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_says_what_is_tried_again() {
        let tries = Tries::of_fragment(Some("rc=2&rp=rt,5xx"));
        assert_eq!(tries.pause(Trouble::Connection, 1), None);
        assert!(tries.pause(Trouble::Timeout, 1).is_some());
        assert!(tries.pause(Trouble::Status(503), 2).is_some());
        assert_eq!(tries.pause(Trouble::Status(503), 3), None);
        assert_eq!(tries.pause(Trouble::Status(404), 1), None);
    }

    #[test]
    fn without_a_fragment_only_connections_are_tried_again() {
        let tries = Tries::of_fragment(None);
        assert!(tries.pause(Trouble::Connection, 5).is_some());
        assert_eq!(tries.pause(Trouble::Connection, 6), None);
        assert_eq!(tries.pause(Trouble::Status(500), 1), None);
    }
}
