//! How many connections are kept open for the next event.
//!
//! The HTTP client keeps every connection for a while, however many hosts there
//! are. This is a model of its pool: it knows at most how many connections are
//! idle, and refuses to keep more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long an idle connection is used again. Servers commonly close theirs after
/// five seconds; who is later than that sends into a closing connection.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(4);

/// After how long an idle connection is certainly closed: the client looks for
/// those that are too old every [`IDLE_MAX`].
const CLOSED_AFTER: Duration = IDLE_MAX.saturating_mul(2);

/// Connections that are idle, or will be when their request ends.
#[derive(Debug)]
pub(crate) struct KeptConnections {
    limit: usize,
    pool: Mutex<Pool>,
}

#[derive(Debug, Default)]
struct Pool {
    /// Since when connections are idle, by host; the client takes the last first.
    idle: HashMap<String, Vec<Instant>>,
    /// How many are idle or will be.
    count: usize,
}

impl KeptConnections {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            pool: Mutex::default(),
        })
    }

    /// Begins a request to a host. `None` if its connection is not to be kept.
    pub(crate) fn begin(self: &Arc<Self>, host: &str, now: Instant) -> Option<Permit> {
        let mut pool = self.pool();
        pool.reuse(host, now);
        if pool.count >= self.limit {
            pool.forget_closed(now);
        }
        if pool.count >= self.limit {
            return None;
        }
        pool.count += 1;
        Some(Permit {
            kept: Arc::clone(self),
            host: host.to_owned(),
            idle_since: None,
        })
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    fn reuse(&mut self, host: &str, now: Instant) {
        let idle = self.idle.get_mut(host);
        let youngest = idle
            .and_then(|idle| idle.pop_if(|since| now.saturating_duration_since(*since) < IDLE_MAX));
        self.count = self.count.saturating_sub(usize::from(youngest.is_some()));
    }

    fn forget_closed(&mut self, now: Instant) {
        let mut left = 0;
        self.idle.retain(|_, idle| {
            let before = idle.len();
            idle.retain(|since| now.saturating_duration_since(*since) < CLOSED_AFTER);
            left += before - idle.len();
            !idle.is_empty()
        });
        self.count = self.count.saturating_sub(left);
    }
}

/// The right to keep the connection of one request.
#[derive(Debug)]
pub(crate) struct Permit {
    kept: Arc<KeptConnections>,
    host: String,
    idle_since: Option<Instant>,
}

impl Permit {
    /// The request has ended, and its connection is idle.
    pub(crate) fn keep(mut self, now: Instant) {
        self.idle_since = Some(now);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut pool = self.kept.pool();
        match self.idle_since {
            Some(since) => {
                let host = std::mem::take(&mut self.host);
                pool.idle.entry(host).or_default().push(since);
            }
            None => pool.count = pool.count.saturating_sub(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_connections_are_kept_than_allowed() {
        let (kept, now) = (KeptConnections::new(2), Instant::now());
        let (one, two) = (kept.begin("a", now).unwrap(), kept.begin("b", now).unwrap());
        assert!(kept.begin("c", now).is_none());
        one.keep(now);
        assert!(kept.begin("c", now).is_none(), "it is idle, not closed");
        // One that breaks is not kept.
        drop(two);
        let other = kept.begin("c", now).unwrap();
        assert!(kept.begin("d", now).is_none());
        other.keep(now);
        let later = now + CLOSED_AFTER;
        let new: Vec<_> = ["d", "e"]
            .map(|host| kept.begin(host, later).unwrap())
            .into();
        assert!(kept.begin("f", later).is_none());
        drop(new);
    }

    #[test]
    fn kept_connection_is_used_again_and_counts_once() {
        let (kept, now) = (KeptConnections::new(1), Instant::now());
        for _ in 0..3 {
            kept.begin("a", now).unwrap().keep(now);
        }
        assert!(kept.begin("b", now).is_none());
    }
}
