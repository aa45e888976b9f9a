//! The connections of a thread: which of them take too long, and which have to give way when
//! there are too many.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Connection, Phase};
use crate::connections::Connections;

/// How often the connections of a thread are checked.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// The server's own timers, which tell the client why, come first.
const GRACE: Duration = Duration::from_secs(1);

/// One of so many connections is evicted at a time, so that finding them costs little.
const EVICTED_FRACTION: usize = 64;

/// How long a connection is left alone: where all others are busy, new ones shall not evict each
/// other before their first head has arrived.
const FIRST_HEAD: Duration = Duration::from_millis(250);

thread_local! {
    /// The connections of this thread; `None` until it has one.
    static OPEN: RefCell<Option<Vec<Weak<Connection>>>> = const { RefCell::new(None) };
}

/// Watches a new connection. Where connections are scarce, the ones that have been idle for
/// longest are closed to make room for it.
pub(crate) fn register(connection: &Rc<Connection>, connections: &Arc<Connections>) {
    OPEN.with_borrow_mut(|open| {
        if open.is_none() {
            // It ends with the runtime of this thread, as its connections do.
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

/// Evicts the longest idle connections while connections are scarce, starting with those that
/// have not shown valid credentials.
fn evict(open: &[Weak<Connection>], connections: &Connections) {
    let Some(surplus) = connections.surplus() else {
        return;
    };
    let now = Instant::now();
    let is_candidate = |each: &Rc<Connection>| {
        each.may_be_evicted() && now.saturating_duration_since(each.since.get()) >= FIRST_HEAD
    };
    let candidates = open.iter().filter_map(Weak::upgrade);
    let mut candidates: Vec<_> = candidates.filter(is_candidate).collect();
    let count = surplus.max(open.len().div_ceil(EVICTED_FRACTION));
    if candidates.len() > count {
        candidates.select_nth_unstable_by_key(count, |each| (each.proven.get(), each.since.get()));
    }
    for connection in candidates.iter().take(count) {
        connection.close();
    }
}

impl Connection {
    /// Whether it can be closed without losing the answer to an authenticated request.
    fn may_be_evicted(&self) -> bool {
        let idle = self.phase.get() != Phase::Request || self.blocked.get().is_some();
        !self.is_closed() && (idle || !self.proven.get())
    }

    fn is_overdue(&self, now: Instant) -> bool {
        let blocked = self.blocked.get();
        if blocked.is_some_and(|since| now.saturating_duration_since(since) > self.limits.sending) {
            return true;
        }
        let allowed = match self.phase.get() {
            Phase::Idle => self.limits.idle,
            Phase::Head | Phase::Closing => self.limits.receiving,
            // How long it takes to answer is not up to the client.
            Phase::Request => return false,
        };
        now.saturating_duration_since(self.since.get()) > allowed + GRACE
    }
}
