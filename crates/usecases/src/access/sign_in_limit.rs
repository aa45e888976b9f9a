//! Limits attempts to sign in.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Failed attempts of one source within [`WINDOW`].
const MAX_PER_SOURCE: u32 = 10;

/// Failed attempts of all sources within [`WINDOW`].
const MAX_OVERALL: u32 = 100;

/// How long failed attempts count.
const WINDOW: Duration = Duration::from_mins(5);

/// Sources that are counted apart; the overall limit keeps their number below this anyway.
const MAX_SOURCES: usize = 1_000;

/// Counts failed attempts in windows of five minutes: per source, and overall.
#[derive(Debug, Default)]
pub(crate) struct SignInLimit(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    ends: Duration,
    overall: u32,
    of_sources: HashMap<IpAddr, u32>,
}

impl SignInLimit {
    /// Counts an attempt at a monotonic time. If there were too many, it is not counted, and the
    /// result is how long to wait.
    pub(crate) fn begin(&self, source: IpAddr, now: Duration) -> Result<(), Duration> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now >= window.ends {
            *window = Window {
                ends: now + WINDOW,
                ..Window::default()
            };
        }
        let source = network(source);
        let of_source = window.of_sources.get(&source).copied().unwrap_or_default();
        let has_room = of_source > 0 || window.of_sources.len() < MAX_SOURCES;
        if of_source >= MAX_PER_SOURCE || window.overall >= MAX_OVERALL || !has_room {
            return Err(window.ends.saturating_sub(now));
        }
        window.overall += 1;
        window.of_sources.insert(source, of_source + 1);
        Ok(())
    }

    /// Uncounts an attempt that succeeded, or did not because the store failed.
    pub(crate) fn uncount(&self, source: IpAddr) {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        window.overall = window.overall.saturating_sub(1);
        if let Some(count) = window.of_sources.get_mut(&network(source)) {
            *count = count.saturating_sub(1);
        }
    }
}

/// Returns what is counted as one source: an IPv4 address, or the network of an IPv6 address,
/// since a host has all addresses of its /64.
fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn attempts_of_one_source_are_limited_until_the_window_ends() {
        let limit = SignInLimit::default();
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        let now = Duration::from_hours(1);
        for _ in 0..MAX_PER_SOURCE {
            limit.begin(one, now).unwrap();
        }
        let wait = limit.begin(one, now + Duration::from_mins(1));
        assert_eq!(wait, Err(Duration::from_mins(4)));
        let mapped = limit.begin(address("::ffff:192.0.2.1"), now);
        assert_eq!(mapped, Err(WINDOW));
        limit.begin(other, now).unwrap();
        limit.begin(one, now + WINDOW).unwrap();
    }

    #[test]
    fn successful_attempts_do_not_count() {
        let limit = SignInLimit::default();
        let source = address("192.0.2.1");
        for _ in 0..MAX_OVERALL * 2 {
            limit.begin(source, Duration::ZERO).unwrap();
            limit.uncount(source);
        }
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_source() {
        let limit = SignInLimit::default();
        for host in 0..MAX_PER_SOURCE {
            let host = address(&format!("2001:db8::{host:x}"));
            limit.begin(host, Duration::ZERO).unwrap();
        }
        let same = limit.begin(address("2001:db8::ffff"), Duration::ZERO);
        assert_eq!(same, Err(WINDOW));
        limit
            .begin(address("2001:db8:0:1::1"), Duration::ZERO)
            .unwrap();
    }

    #[test]
    fn attempts_of_all_sources_are_limited() {
        let limit = SignInLimit::default();
        for host in 0..MAX_OVERALL {
            let host = IpAddr::from([192, 0, 2, u8::try_from(host).unwrap()]);
            limit.begin(host, Duration::ZERO).unwrap();
        }
        let next = limit.begin(address("198.51.100.1"), Duration::ZERO);
        assert_eq!(next, Err(WINDOW));
    }
}
