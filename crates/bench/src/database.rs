//! The databases that reports are kept in: a PostgreSQL server that writes to
//! the disk, with a fresh database for every measurement, and `SQLite`'s file.

use std::cell::Cell;
use std::path::Path;
use std::str::FromStr as _;

use anyhow::{Context as _, Result};
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row as _};
use testkit::cluster::{Cluster, Options};
use tokio::runtime::Runtime;

use crate::process::{self, Usage};

/// What differs from PostgreSQL's defaults: memory, and what the operator's page
/// recommends for the log; no checkpoint falls into a measurement of a few seconds.
const SETTINGS: [&str; 4] = [
    "shared_buffers=512MB",
    "max_wal_size=8GB",
    "wal_compression=lz4",
    "max_connections=200",
];

const URL_VARIABLE: &str = "TEST_POSTGRES_URL";

/// A PostgreSQL server.
pub struct Postgres {
    /// Removed when it is dropped.
    _cluster: Option<Cluster>,
    server: PgConnectOptions,
    postmaster: Option<u32>,
    description: String,
    databases: Cell<u32>,
    runtime: Runtime,
}

/// A database of one's own, gone when it is dropped.
pub struct Database<'a> {
    postgres: &'a Postgres,
    name: String,
}

impl Postgres {
    /// The server that `TEST_POSTGRES_URL` names, or one of our own.
    #[expect(
        clippy::disallowed_methods,
        reason = "the machine is described by its environment"
    )]
    pub fn start() -> Result<Self> {
        let given = std::env::var(URL_VARIABLE)
            .ok()
            .filter(|url| !url.is_empty());
        let (cluster, url) = if let Some(url) = given {
            (None, url)
        } else {
            let settings = SETTINGS.map(str::to_owned).to_vec();
            let cluster = Cluster::start_with(&Options {
                durable: true,
                settings,
            });
            let cluster = cluster.context("PostgreSQL does not start")?;
            let url = cluster.url("postgres");
            (Some(cluster), url)
        };
        let server = PgConnectOptions::from_str(&url).context("TEST_POSTGRES_URL is no URL")?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let (backend, description) = runtime.block_on(describe(&server))?;
        Ok(Self {
            _cluster: cluster,
            server,
            // A server on another machine has no process here.
            postmaster: process::parent_of_same_name(backend, "postgres"),
            description,
            databases: Cell::new(0),
            runtime,
        })
    }

    /// Its version and the settings that matter.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The runtime for whatever speaks with it.
    #[must_use]
    pub const fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// What all its processes have used; `None` if they are on another machine.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        Usage::of_tree(self.postmaster?).ok()
    }

    /// Writes out everything that was changed. Whatever page changes first from
    /// here on goes into the log as a whole.
    pub fn checkpoint(&self) -> Result<()> {
        self.execute("checkpoint".to_owned())
    }

    /// An empty database, with nothing left to be written from earlier ones.
    pub fn fresh(&self) -> Result<Database<'_>> {
        let number = self.databases.get() + 1;
        self.databases.set(number);
        let name = format!("bench_{}_{number}", std::process::id());
        self.execute(format!("create database {name}"))?;
        self.checkpoint()?;
        Ok(Database {
            postgres: self,
            name,
        })
    }

    fn execute(&self, statement: String) -> Result<()> {
        self.runtime.block_on(async {
            let mut connection = PgConnection::connect_with(&self.server).await?;
            sqlx::query(AssertSqlSafe(statement))
                .execute(&mut connection)
                .await?;
            connection.close().await?;
            Ok(())
        })
    }
}

async fn describe(server: &PgConnectOptions) -> Result<(u32, String)> {
    let connecting = PgConnection::connect_with(server);
    let mut connection = connecting.await.context("PostgreSQL is not reached")?;
    let row = sqlx::query(
        "select pg_backend_pid(), format('PostgreSQL %s, fsync %s, synchronous_commit %s, \
         shared_buffers %s, max_wal_size %s, wal_compression %s', \
         current_setting('server_version'), \
         current_setting('fsync'), current_setting('synchronous_commit'), \
         current_setting('shared_buffers'), current_setting('max_wal_size'), \
         current_setting('wal_compression'))",
    )
    .fetch_one(&mut connection)
    .await?;
    let (pid, description): (i32, String) = (row.try_get(0)?, row.try_get(1)?);
    connection.close().await?;
    Ok((u32::try_from(pid)?, description))
}

impl Database<'_> {
    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.postgres
            .server
            .clone()
            .database(&self.name)
            .to_url_lossy()
            .to_string()
    }

    /// How much the server has written to its log so far: bytes, and pages as a
    /// whole.
    pub(crate) fn logged(&self) -> Result<(i64, i64)> {
        let options = self.postgres.server.clone().database(&self.name);
        self.postgres.runtime.block_on(async {
            let mut connection = PgConnection::connect_with(&options).await?;
            let row = sqlx::query(LOGGED).fetch_one(&mut connection).await?;
            let logged = (row.try_get(0)?, row.try_get(1)?);
            connection.close().await?;
            Ok(logged)
        })
    }

    /// The server it is on.
    pub(crate) const fn postgres(&self) -> &Postgres {
        self.postgres
    }

    /// How many reports are in its log, and how many duplicates were counted.
    pub fn reports(&self) -> Result<(i64, i64)> {
        let options = self.postgres.server.clone().database(&self.name);
        self.postgres.runtime.block_on(async {
            let mut connection = PgConnection::connect_with(&options).await?;
            let row = sqlx::query(COUNT).fetch_one(&mut connection).await?;
            let counts = (row.try_get(0)?, row.try_get(1)?);
            connection.close().await?;
            Ok(counts)
        })
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        // One that stays costs disk space until the server is gone.
        let _ = self
            .postgres
            .execute(format!("drop database {} with (force)", self.name));
    }
}

const LOGGED: &str = "select cast(pg_current_wal_insert_lsn() - '0/0' as bigint), \
                      (select wal_fpi from pg_stat_wal)";

const COUNT: &str = "select (select count(*) from reports), \
                     cast((select coalesce(sum(duplicates), 0) from messages) as bigint)";

/// How many reports are in the log of a file of `SQLite`'s, and how many
/// duplicates were counted.
pub fn reports_in_file(runtime: &Runtime, file: &Path) -> Result<(i64, i64)> {
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    runtime.block_on(async {
        let mut connection = options.connect().await?;
        let row = sqlx::query(COUNT).fetch_one(&mut connection).await?;
        let counts = (row.try_get(0)?, row.try_get(1)?);
        connection.close().await?;
        Ok(counts)
    })
}
