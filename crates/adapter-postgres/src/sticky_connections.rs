//! The connections that batches are recorded on, one after the other.
//!
//! A pool hands out its connections in turn. Each is a process of the server with plans and
//! tables of its own to keep in mind, so the same batch costs more when another process
//! writes each: the processor has forgotten what that one knew.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool, Postgres};

use crate::failover::is_stale;

/// How long a connection is kept until the pool sees it again and can replace it.
const KEPT: Duration = Duration::from_mins(10);

/// Keeps some connections of a pool between two batches; the one used last is taken first.
#[derive(Debug)]
pub(crate) struct WarmConnections {
    most: u32,
    trusted: Duration,
    kept: Mutex<Vec<Kept>>,
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

impl WarmConnections {
    /// Keeps at most so many, each until it has not been used for `trusted`.
    pub(crate) const fn new(most: u32, trusted: Duration) -> Self {
        Self {
            most,
            trusted,
            kept: Mutex::new(Vec::new()),
        }
    }

    /// The connection that was used last if it is free and that was lately, else one of the
    /// pool, which knows whether it still lives.
    pub(crate) async fn take(&self, pool: &PgPool) -> Result<Warm, sqlx::Error> {
        if let Some(kept) = self.kept().pop()
            && kept.used.elapsed() <= self.trusted
            && !is_stale(kept.connection.given.elapsed())
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
        // Those below the ones in use would be kept from the pool for nothing.
        kept.retain(|each| each.used.elapsed() <= self.trusted);
        // Asked under the lock: a pool that closes waits for what is kept after `release`.
        let has_room = u32::try_from(kept.len()).is_ok_and(|kept| kept < self.most);
        if has_room && connection.given.elapsed() < KEPT && !pool.is_closed() {
            kept.push(Kept {
                connection,
                used: Instant::now(),
            });
        }
    }

    /// Gives the connections back to their pool, and no other is kept if that is closed.
    pub(crate) fn release(&self) {
        self.kept().clear();
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
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
