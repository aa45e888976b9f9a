//! The connections of a thread: closes those that take too long, and evicts idle ones when
//! connections are scarce.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connection::{Connection, Phase};
use crate::connections::Connections;

/// How often the connections of a thread are checked.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// How much longer than the server's own timeouts to wait: those send the client a reason.
const TIMEOUT_GRACE: Duration = Duration::from_secs(1);

/// At most one in so many connections is evicted at a time, so that a search pays off.
const EVICTED_FRACTION: usize = 64;

/// Younger connections are not evicted: where all others are busy, new ones must not evict each
/// other before their first head has arrived.
const MIN_EVICTION_AGE: Duration = Duration::from_millis(250);

thread_local! {
    /// The connections of this thread; `None` before the first one.
    static OPEN: RefCell<Option<Vec<Weak<Connection>>>> = const { RefCell::new(None) };
}

/// Adds a new connection. Where connections are scarce, evicts those that have been idle for
/// longest.
pub(crate) fn register(connection: &Rc<Connection>, connections: &Arc<Connections>) {
    OPEN.with_borrow_mut(|open| {
        if open.is_none() {
            // The task ends with the runtime of this thread, as its connections do.
            actix_web::rt::spawn(check(Arc::clone(connections)));
        }
        let open = open.get_or_insert_default();
        evict(open, connections);
        open.push(Rc::downgrade(connection));
    });
}

async fn check(connections: Arc<Connections>) {
    loop {
        tokio::time::sleep(CHECK_INTERVAL).await;
        let now = Instant::now();
        OPEN.with_borrow_mut(|open| {
            let open = open.get_or_insert_default();
            open.retain(|connection| {
                let connection = connection.upgrade();
                if let Some(connection) = &connection
                    && connection.is_overdue(now)
                {
                    connection.close();
                }
                connection.is_some()
            });
            evict(open, &connections);
        });
    }
}

/// Closes the longest idle connections if connections are scarce, unauthenticated ones first.
fn evict(open: &[Weak<Connection>], connections: &Connections) {
    let Some(excess) = connections.excess() else {
        return;
    };
    let now = Instant::now();
    let is_candidate = |each: &Rc<Connection>| {
        each.may_be_evicted() && now.saturating_duration_since(each.since.get()) >= MIN_EVICTION_AGE
    };
    let candidates = open.iter().filter_map(Weak::upgrade);
    let mut candidates: Vec<_> = candidates.filter(is_candidate).collect();
    let count = excess.max(open.len().div_ceil(EVICTED_FRACTION));
    if candidates.len() > count {
        candidates
            .select_nth_unstable_by_key(count, |each| (each.authenticated.get(), each.since.get()));
    }
    for connection in candidates.iter().take(count) {
        connection.close();
    }
}

impl Connection {
    /// Returns whether closing it cannot lose the answer to an authenticated request.
    fn may_be_evicted(&self) -> bool {
        let idle = self.phase.get() != Phase::Request || self.blocked.get().is_some();
        !self.is_closed() && (idle || !self.authenticated.get())
    }

    fn is_overdue(&self, now: Instant) -> bool {
        let blocked = self.blocked.get();
        if blocked.is_some_and(|since| now.saturating_duration_since(since) > self.limits.sending) {
            return true;
        }
        let allowed = match self.phase.get() {
            Phase::Idle => self.limits.idle,
            Phase::Head | Phase::Closing => self.limits.receiving,
            // The client cannot influence how long an answer takes.
            Phase::Request => return false,
        };
        now.saturating_duration_since(self.since.get()) > allowed + TIMEOUT_GRACE
    }
}
