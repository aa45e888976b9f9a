//! The connections that batches are recorded on, one batch after the other.
//!
//! A pool hands out its connections in turn. Each is a process of the server with plans and
//! caches of its own, so recording every batch on another one costs more.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool, Postgres};

use crate::failover::is_outdated;

/// After this time a connection goes back to the pool, which may replace it.
const MAX_AGE: Duration = Duration::from_mins(10);

/// Keeps some connections of a pool between batches; the one used last is taken first.
#[derive(Debug)]
pub(crate) struct StickyConnections {
    max_connections: u32,
    max_idle: Duration,
    idle: Mutex<Vec<IdleConnection>>,
}

#[derive(Debug)]
struct IdleConnection {
    connection: StickyConnection,
    last_used: Instant,
}

/// A connection, and when it was taken from the pool.
#[derive(Debug)]
pub(crate) struct StickyConnection {
    connection: PoolConnection<Postgres>,
    acquired: Instant,
}

impl StickyConnections {
    /// Keeps at most `max_connections`, each until it has been idle for `max_idle`.
    pub(crate) const fn new(max_connections: u32, max_idle: Duration) -> Self {
        Self {
            max_connections,
            max_idle,
            idle: Mutex::new(Vec::new()),
        }
    }

    /// Returns the connection used last if it is recent, else one of the pool, which checks
    /// that it is alive.
    pub(crate) async fn take(&self, pool: &PgPool) -> Result<StickyConnection, sqlx::Error> {
        if let Some(idle) = self.idle().pop()
            && idle.last_used.elapsed() <= self.max_idle
            && !is_outdated(idle.connection.acquired.elapsed())
        {
            return Ok(idle.connection);
        }
        Ok(StickyConnection {
            connection: pool.acquire().await?,
            acquired: Instant::now(),
        })
    }

    /// Keeps a connection on which a batch was recorded. One that failed is dropped instead:
    /// the pool finds out whether it is still usable.
    pub(crate) fn keep(&self, connection: StickyConnection, pool: &PgPool) {
        let mut idle = self.idle();
        // Those at the bottom are not used at the current load.
        idle.retain(|each| each.last_used.elapsed() <= self.max_idle);
        // Checked under the lock: a pool that closes waits for what is kept after `release`.
        let has_room = u32::try_from(idle.len()).is_ok_and(|idle| idle < self.max_connections);
        if has_room && connection.acquired.elapsed() < MAX_AGE && !pool.is_closed() {
            idle.push(IdleConnection {
                connection,
                last_used: Instant::now(),
            });
        }
    }

    /// Gives all connections back to their pool. If that is closed, no other one is kept.
    pub(crate) fn release(&self) {
        self.idle().clear();
    }

    fn idle(&self) -> MutexGuard<'_, Vec<IdleConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for StickyConnection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for StickyConnection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}
