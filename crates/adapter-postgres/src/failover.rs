//! Connections that lead to a server that is of no more use.
//!
//! A primary that has become read-only, or is shut down, is found by the statement that fails.
//! Every connection opened until then may lead to the same server, while a new one reaches the
//! server that has taken its place. So all of them are closed when they are next taken from
//! the pool or given back. The moment is the process's, since errors know no pool: a second
//! store in the same process opens new connections as well, and nothing else.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

static FOUND: Mutex<Option<Instant>> = Mutex::new(None);

/// Declares every connection opened until now stale.
pub(crate) fn declare() {
    *FOUND.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
}

/// Whether a connection opened so long ago is stale.
pub(crate) fn is_stale(age: Duration) -> bool {
    let found = *FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    found.is_some_and(|found| found.elapsed() <= age)
}
