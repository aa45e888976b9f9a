//! The connection that batches are recorded on, one after the other.
//!
//! A pool hands out its connections in turn. Each is a process of the server with plans and
//! tables of its own to keep in mind, so the same batch costs more when another process
//! writes each: the processor has forgotten what that one knew.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool, Postgres};

/// How long a connection is kept until the pool sees it again and can replace it.
const KEPT: Duration = Duration::from_mins(10);

/// Keeps at most one connection of a pool between two batches.
#[derive(Debug, Default)]
pub(crate) struct WarmConnection {
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    connection: Warm,
    /// When its last batch was recorded.
    used: Instant,
}

/// A connection, and when the pool gave it.
#[derive(Debug)]
pub(crate) struct Warm {
    connection: PoolConnection<Postgres>,
    given: Instant,
}

impl WarmConnection {
    /// The connection that is kept if it is free and was used within `trusted`, else one of
    /// the pool, which knows whether it still lives.
    pub(crate) async fn take(&self, pool: &PgPool, trusted: Duration) -> Result<Warm, sqlx::Error> {
        if let Some(kept) = self.kept().take()
            && kept.used.elapsed() <= trusted
        {
            return Ok(kept.connection);
        }
        Ok(Warm {
            connection: pool.acquire().await?,
            given: Instant::now(),
        })
    }

    /// Keeps a connection on which a batch was recorded. One that failed is dropped instead:
    /// the pool finds out whether it is still good.
    pub(crate) fn keep(&self, connection: Warm, pool: &PgPool) {
        let mut kept = self.kept();
        // Asked under the lock: a pool that closes waits for what is kept after `release`.
        if connection.given.elapsed() < KEPT && !pool.is_closed() {
            *kept = Some(Kept {
                connection,
                used: Instant::now(),
            });
        }
    }

    /// Gives the connection back to its pool, and no other is kept if that is closed.
    pub(crate) fn release(&self) {
        *self.kept() = None;
    }

    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Warm {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Warm {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}
