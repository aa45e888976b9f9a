//! Connections: how many, how long anything may take, and the schema behind them.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use ports::StoreError;
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::error::{cause, corrupt, is_locked, store_error};
use crate::failover::is_stale;
use crate::maintenance::partitions;
use crate::reports::ids;
use crate::schema::MIGRATIONS;
use crate::sticky_connections::WarmConnections;
use crate::timeout::{Operation as _, StoreRuntime, is_well};
use crate::{durability, encoding, schema};

/// All stores on one PostgreSQL database. Clones share their connections.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    pub(crate) pool: PgPool,
    pub(crate) recording: Arc<WarmConnections>,
    /// Without limits on statements.
    server: PgConnectOptions,
    acquire_timeout: Duration,
    pub(crate) runtime: StoreRuntime,
    /// The time-outs that every connection asks the server for.
    pub(crate) timeouts: Arc<[(&'static str, Duration)]>,
}

/// How a [`PostgresStore`] behaves towards its server.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many connections it opens at most.
    pub max_connections: u32,
    /// How long it waits for a connection before it says that the store is unavailable.
    pub acquire_timeout: Duration,
    /// How long a statement may take, migrations apart.
    pub statement_timeout: Duration,
    /// How long a statement may wait for a row that somebody else is writing.
    pub lock_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_connections: 10,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
            // Longer than what makes and drops partitions may wait, with readers after it in
            // the queue; short enough that a locked message delays others only a little.
            lock_timeout: Duration::from_secs(2),
        }
    }
}

/// The text is no URL of a PostgreSQL database.
#[derive(Debug, thiserror::Error)]
#[error("a PostgreSQL URL looks like postgres://user:password@host:5432/database?sslmode=require")]
pub struct InvalidPostgresUrl(#[source] sqlx::Error);

/// A connection that was used this recently is not asked whether it still lives: the next
/// statement will tell, one round trip earlier.
const TRUSTED_AFTER_USE: Duration = Duration::from_secs(1);

/// How long the schema may wait for a lock, unless told otherwise.
const LOCKS: Duration = Duration::from_secs(30);

/// How long connections may take to close, all together.
const CLOSING: Duration = Duration::from_secs(2);

/// How long a server may take to say why no connection to it comes about.
const REFUSAL: Duration = Duration::from_secs(1);

impl PostgresStore {
    /// A store that connects when it is first used: a server that is away now is no error
    /// yet. Must be called within a Tokio runtime.
    pub fn connect(url: &str, options: &Options) -> Result<Self, InvalidPostgresUrl> {
        let server = PgConnectOptions::from_str(url)
            .map_err(InvalidPostgresUrl)?
            .application_name("receiptd")
            // Whoever calls measures and logs; sqlx would log the text of each statement.
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
            // Statements over all partitions look dear to the planner and are not: few rows of
            // few of them are read. Compiling one takes a hundred times as long as running it.
            .options([("jit", "off")]);
        let farewell = options.acquire_timeout;
        let told = Arc::new(durability::Told::default());
        let pool = PgPoolOptions::new()
            .max_connections(options.max_connections)
            .acquire_timeout(options.acquire_timeout)
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                let told = Arc::clone(&told);
                Box::pin(async move {
                    durability::insist(connection, &told).await?;
                    ids::raise(connection).await
                })
            })
            .before_acquire(|connection, age| {
                Box::pin(async move {
                    if is_stale(age.age) {
                        return Ok(false);
                    }
                    if age.idle_for > TRUSTED_AFTER_USE {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .after_release(move |connection, age| {
                Box::pin(
                    async move { Ok(!is_stale(age.age) && is_well(connection, farewell).await?) },
                )
            })
            .connect_lazy_with(limited);
        Ok(Self {
            pool,
            recording: Arc::new(WarmConnections::new(
                options.max_connections / 2,
                TRUSTED_AFTER_USE,
            )),
            server,
            acquire_timeout: options.acquire_timeout,
            runtime: StoreRuntime::current(options.acquire_timeout + options.statement_timeout),
            timeouts: timeouts.into(),
        })
    }

    /// Brings the tables up to date and makes the partitions of the days to come. Any number
    /// of processes may do it at once; steps that a later release has added are left alone, so
    /// that both releases run side by side.
    ///
    /// [`StoreError::Corrupt`] if the steps applied there are not the ones known here,
    /// [`StoreError::Unsupported`] if the database's encoding is not UTF-8.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.migrate_within(LOCKS).await
    }

    /// The same, waiting no longer than this for a lock that somebody else has: a table that is
    /// being dumped, a process that does the same and was lost.
    pub async fn migrate_within(&self, lock_timeout: Duration) -> Result<(), StoreError> {
        let migrator = schema::migrator();
        // A connection of its own: a step may take longer than any statement should. It comes
        // from a pool, since the migrator's future is not `Send` with one by reference.
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
            encoding::check(&pool).await?;
            migrator.run(&pool).await.map_err(migration_error)?;
            prepare_log(&pool).await.map_err(store_error("reports"))
        });
        let migrated = migrated.await;
        pool.close().await;
        migrated
    }

    /// Replaces the pool's word that no connection came about in time by what the server says
    /// when it is asked for one: that it refuses connections, that it starts up.
    pub(crate) async fn explain(&self, error: sqlx::Error) -> sqlx::Error {
        if !matches!(error, sqlx::Error::PoolTimedOut) {
            return error;
        }
        match Box::pin(self.server.connect()).within(REFUSAL).await {
            Err(why) => why,
            Ok(connection) => {
                // Its end needs no answer.
                let _ = connection.close().within(REFUSAL).await;
                error
            }
        }
    }

    /// Closes the connections when what runs on them has ended, and does not wait long for
    /// those that do not answer.
    pub async fn close(&self) {
        let closing = self.pool.close();
        self.recording.release();
        if tokio::time::timeout(CLOSING, closing).await.is_err() {
            tracing::warn!("connections to the database do not answer and are left as they are");
        }
    }
}

/// What a log needs that has just been made, or has come from another server.
async fn prepare_log(pool: &PgPool) -> Result<(), sqlx::Error> {
    let mut connection = pool.acquire().await?;
    ids::raise(&mut connection).await?;
    let today = partitions::today(&mut connection).await?;
    match partitions::make(&mut connection, today).await {
        Err(error) if is_locked(&error) => {
            // There are some for days to come, and one for all other days; a worker makes them.
            let error = cause(error);
            tracing::warn!(%error, "no partition was made for the reports of days to come");
            Ok(())
        }
        made => made.map(drop),
    }
}

fn migration_error(error: MigrateError) -> StoreError {
    match error {
        MigrateError::VersionMismatch(_) => corrupt(MIGRATIONS, "checksum")(error),
        MigrateError::Dirty(_) => corrupt(MIGRATIONS, "success")(error),
        MigrateError::Execute(error) => store_error(MIGRATIONS)(error),
        MigrateError::ExecuteMigration(error, step) => {
            StoreError::Unavailable(format!("migration {step}: {}", cause(error)).into())
        }
        other => StoreError::Unavailable(other.to_string().into()),
    }
}
