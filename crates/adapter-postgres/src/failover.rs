//! Connections to a server that is of no more use, after a failover.
//!
//! A primary that became read-only, or is shutting down, is noticed by the statement that fails.
//! Every connection opened until then may lead to the same server, while a new one reaches its
//! replacement. Therefore all of them are closed when they are next taken from the pool or given
//! back. The time is that of the process, since errors do not know their pool: a second store in
//! the same process also opens new connections, without other effects.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

static NOTICED_AT: Mutex<Option<Instant>> = Mutex::new(None);

/// Marks every connection opened until now as outdated.
pub(crate) fn discard_connections() {
    *NOTICED_AT.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
}

/// Returns whether a connection of this age is outdated.
pub(crate) fn is_outdated(age: Duration) -> bool {
    let noticed_at = *NOTICED_AT.lock().unwrap_or_else(PoisonError::into_inner);
    noticed_at.is_some_and(|noticed_at| noticed_at.elapsed() <= age)
}
