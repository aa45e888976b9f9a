//! The connection pool, its timeouts, and the schema of the database.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use ports::StoreError;
use ports::error::Source;
use sql_rows::error::migration_error;
use sql_rows::schema::MIGRATIONS;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::error::{cause, is_locked, store_error};
use crate::failover::is_outdated;
use crate::maintenance::partitions;
use crate::reports::ids;
use crate::runtime::{Operation as _, StoreRuntime, answers};
use crate::schema::FoundSchema;
use crate::sticky_connections::StickyConnections;
use crate::{durability, schema};

/// All stores on one PostgreSQL database. Clones share their connections.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    pub(crate) pool: PgPool,
    pub(crate) recording: Arc<StickyConnections>,
    /// The server, without timeouts of statements.
    server: PgConnectOptions,
    acquire_timeout: Duration,
    pub(crate) runtime: StoreRuntime,
    /// The timeouts that every connection requests from the server.
    pub(crate) timeouts: Arc<[(&'static str, Duration)]>,
}

/// Limits of a [`PostgresStore`].
#[derive(Clone, Debug)]
pub struct Options {
    /// The size of the connection pool.
    pub max_connections: u32,
    /// How long to wait for a connection before the store counts as unavailable.
    pub acquire_timeout: Duration,
    /// How long a statement may take; migrations have no limit.
    pub statement_timeout: Duration,
    /// How long a statement may wait for a row that another session has locked.
    pub lock_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_connections: 10,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
            // Longer than creating and dropping partitions may wait, with readers queued after it;
            // short enough that a locked message delays others only a little.
            lock_timeout: Duration::from_secs(2),
        }
    }
}

/// The text is not the URL of a PostgreSQL database.
#[derive(Debug, thiserror::Error)]
#[error("a PostgreSQL URL looks like postgres://user:password@host:5432/database?sslmode=require")]
pub struct InvalidPostgresUrl(#[source] Source);

/// A connection that was used this recently is not pinged, which saves a round trip: the next
/// statement shows whether it is alive.
const MAX_IDLE_WITHOUT_PING: Duration = Duration::from_secs(1);

/// How long migrations may wait for a lock.
const MIGRATION_LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// How long all connections together may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long to wait for a server's reason why it accepts no connection.
const EXPLAIN_TIMEOUT: Duration = Duration::from_secs(1);

impl PostgresStore {
    /// Returns a store that connects when it is first used, so an unreachable server is not yet
    /// an error. Must be called within a Tokio runtime.
    pub fn connect(url: &str, options: &Options) -> Result<Self, InvalidPostgresUrl> {
        let server = PgConnectOptions::from_str(url)
            .map_err(|error| InvalidPostgresUrl(cause(error)))?
            .application_name("receiptd")
            // sqlx would log the text of each statement.
            .disable_statement_logging();
        let timeouts = [
            ("statement_timeout", options.statement_timeout),
            ("lock_timeout", options.lock_timeout),
            (
                "idle_in_transaction_session_timeout",
                options.statement_timeout,
            ),
        ];
        let limited = server
            .clone()
            .options(timeouts.map(|(name, limit)| (name, format!("{}ms", limit.as_millis()))))
            // The planner overestimates statements over all partitions, which read few rows of
            // few of them. Compiling one takes a hundred times as long as running it.
            .options([("jit", "off")]);
        let ping_timeout = options.acquire_timeout;
        let warned = Arc::new(durability::Warned::default());
        let pool = PgPoolOptions::new()
            .max_connections(options.max_connections)
            .acquire_timeout(options.acquire_timeout)
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                let warned = Arc::clone(&warned);
                Box::pin(async move {
                    durability::enforce_synchronous_commit(connection, &warned).await?;
                    ids::raise(connection).await
                })
            })
            .before_acquire(|connection, age| {
                Box::pin(async move {
                    if is_outdated(age.age) {
                        return Ok(false);
                    }
                    if age.idle_for > MAX_IDLE_WITHOUT_PING {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .after_release(move |connection, age| {
                Box::pin(async move {
                    Ok(!is_outdated(age.age) && answers(connection, ping_timeout).await?)
                })
            })
            .connect_lazy_with(limited);
        Ok(Self {
            pool,
            recording: Arc::new(StickyConnections::new(
                options.max_connections / 2,
                MAX_IDLE_WITHOUT_PING,
            )),
            server,
            acquire_timeout: options.acquire_timeout,
            runtime: StoreRuntime::current(options.acquire_timeout + options.statement_timeout),
            timeouts: timeouts.into(),
        })
    }

    /// Applies the missing migrations and creates the partitions of the next days. Any number of
    /// processes may do so at once. Migrations of a later release are ignored, so that both
    /// releases can run side by side.
    ///
    /// Fails with [`StoreError::Corrupt`] if an applied migration differs from the one known
    /// here, with [`StoreError::Unsupported`] if the schema is from before the first release or
    /// the encoding is not UTF-8.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.migrate_within(MIGRATION_LOCK_TIMEOUT).await
    }

    /// The same with another timeout of locks, such as those of a dump in progress, or of a lost
    /// process that was migrating.
    pub async fn migrate_within(&self, lock_timeout: Duration) -> Result<(), StoreError> {
        let migrator = schema::migrator();
        // A connection of its own, because a migration may take longer than other statements. In
        // a pool, since the migrator's future is not `Send` with a borrowed connection.
        let lock_timeout = format!("{}ms", lock_timeout.as_millis());
        let server = self.server.clone();
        let connected = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(self.acquire_timeout)
            .connect_with(server.options([("lock_timeout", lock_timeout)]))
            .await;
        let pool = match connected {
            Ok(pool) => pool,
            Err(error) => return Err(store_error(MIGRATIONS)(self.explain(error).await)),
        };
        let migrated = Box::pin(async {
            let found = FoundSchema::read(&pool).await;
            found.map_err(store_error(MIGRATIONS))?.check(&migrator)?;
            let migrated = migrator.run(&pool).await;
            migrated.map_err(|error| migration_error(error, store_error(MIGRATIONS)))?;
            prepare_log(&pool).await.map_err(store_error("reports"))
        });
        let migrated = migrated.await;
        pool.close().await;
        migrated
    }

    /// Replaces the pool's timeout error by what the server answers to a connection attempt:
    /// that it refuses connections, that it is starting up.
    pub(crate) async fn explain(&self, error: sqlx::Error) -> sqlx::Error {
        if !matches!(error, sqlx::Error::PoolTimedOut) {
            return error;
        }
        match Box::pin(self.server.connect())
            .within(EXPLAIN_TIMEOUT)
            .await
        {
            Err(why) => why,
            Ok(connection) => {
                // Whether it closes cleanly does not matter.
                let _ = connection.close().within(EXPLAIN_TIMEOUT).await;
                error
            }
        }
    }

    /// Closes the connections once their statements have ended, but does not wait long for those
    /// that do not answer.
    pub async fn close(&self) {
        let closing = self.pool.close();
        self.recording.release();
        if tokio::time::timeout(CLOSE_TIMEOUT, closing).await.is_err() {
            tracing::warn!("some connections to the database do not answer and were not closed");
        }
    }
}

/// Prepares a log that is new, or was moved from another server.
async fn prepare_log(pool: &PgPool) -> Result<(), sqlx::Error> {
    let mut connection = pool.acquire().await?;
    ids::raise(&mut connection).await?;
    let today = partitions::today(&mut connection).await?;
    match partitions::make(&mut connection, today).await {
        Err(error) if is_locked(&error) => {
            // There are partitions for the next days, and the default one; a background task
            // creates the missing ones.
            let error = cause(error);
            tracing::warn!(%error, "no partition was created for the next days; a background task tries again");
            Ok(())
        }
        made => made.map(drop),
    }
}
