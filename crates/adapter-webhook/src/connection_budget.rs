//! Limits the number of idle connections.
//!
//! The HTTP client keeps every connection open for a while, and its pool has a limit per host only.
//! This model of the pool has an upper bound of the number of idle connections, and refuses to keep
//! more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long an idle connection is reused. Servers commonly close theirs after five seconds.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(4);

/// When an idle connection is certainly closed: the client closes old ones every [`IDLE_MAX`].
const CLOSED_AFTER: Duration = IDLE_MAX.saturating_mul(2);

/// Counts the connections that are idle, or will be when their request ends.
#[derive(Debug)]
pub(crate) struct ConnectionBudget {
    limit: usize,
    pool: Mutex<IdleConnections>,
}

#[derive(Debug, Default)]
struct IdleConnections {
    /// Since when connections are idle, by host; the client reuses the last one first.
    idle: HashMap<String, Vec<Instant>>,
    /// How many are idle or will be.
    count: usize,
}

impl ConnectionBudget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            pool: Mutex::default(),
        })
    }

    /// Begins a request to a host. Returns `None` if its connection must be closed afterwards.
    pub(crate) fn begin(self: &Arc<Self>, host: &str, now: Instant) -> Option<KeepPermit> {
        let mut pool = self.pool();
        pool.reuse(host, now);
        if pool.count >= self.limit {
            pool.remove_closed(now);
        }
        if pool.count >= self.limit {
            return None;
        }
        pool.count += 1;
        Some(KeepPermit {
            budget: Arc::clone(self),
            host: host.to_owned(),
            idle_since: None,
        })
    }

    fn pool(&self) -> MutexGuard<'_, IdleConnections> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IdleConnections {
    fn reuse(&mut self, host: &str, now: Instant) {
        let idle = self.idle.get_mut(host);
        let youngest = idle
            .and_then(|idle| idle.pop_if(|since| now.saturating_duration_since(*since) < IDLE_MAX));
        self.count = self.count.saturating_sub(usize::from(youngest.is_some()));
    }

    fn remove_closed(&mut self, now: Instant) {
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

/// Permission to keep the connection of one request.
#[derive(Debug)]
pub(crate) struct KeepPermit {
    budget: Arc<ConnectionBudget>,
    host: String,
    idle_since: Option<Instant>,
}

impl KeepPermit {
    /// Records that the request has ended and its connection is idle.
    pub(crate) fn keep(mut self, now: Instant) {
        self.idle_since = Some(now);
    }
}

impl Drop for KeepPermit {
    fn drop(&mut self) {
        let mut pool = self.budget.pool();
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
        let (kept, now) = (ConnectionBudget::new(2), Instant::now());
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
        let (kept, now) = (ConnectionBudget::new(1), Instant::now());
        for _ in 0..3 {
            kept.begin("a", now).unwrap().keep(now);
        }
        assert!(kept.begin("b", now).is_none());
    }
}
