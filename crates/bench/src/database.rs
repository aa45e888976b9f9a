//! The databases of measurements: a PostgreSQL server that writes to the disk, with a fresh
//! database for every measurement, and SQLite's file.

use std::cell::Cell;
use std::path::Path;
use std::str::FromStr as _;

use anyhow::{Context as _, Result};
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, FromRow, PgConnection};
use testkit::cluster::{Cluster, Options};
use tokio::runtime::Runtime;

use crate::process::{self, Usage};

/// What differs from PostgreSQL's defaults: memory, and what `docs/operating/install.md` recommends
/// for the WAL. No checkpoint happens during a measurement of a few seconds.
const SETTINGS: [&str; 4] = [
    "shared_buffers=512MB",
    "max_wal_size=8GB",
    "wal_compression=lz4",
    "max_connections=200",
];

const URL_VARIABLE: &str = "TEST_POSTGRES_URL";

pub struct Postgres {
    /// Removed when it is dropped.
    _cluster: Option<Cluster>,
    server: PgConnectOptions,
    postmaster: Option<u32>,
    /// Its version and the settings that matter.
    pub description: String,
    databases: Cell<u32>,
    pub runtime: Runtime,
}

/// A database of one measurement, removed when it is dropped.
pub struct Database<'a> {
    pub postgres: &'a Postgres,
    options: PgConnectOptions,
    name: String,
}

impl Postgres {
    /// The server that `TEST_POSTGRES_URL` names, or a new one.
    #[expect(
        clippy::disallowed_methods,
        reason = "the machine is described by its environment"
    )]
    pub fn start() -> Result<Self> {
        let given = std::env::var(URL_VARIABLE).ok();
        let (cluster, url) = if let Some(url) = given.filter(|url| !url.is_empty()) {
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
        let (backend, description): (i32, String) = fetch(&runtime, &server, DESCRIPTION)?;
        Ok(Self {
            _cluster: cluster,
            server,
            // A server on another machine has no process here.
            postmaster: process::parent_of_same_name(u32::try_from(backend)?, "postgres"),
            description,
            databases: Cell::new(0),
            runtime,
        })
    }

    /// Returns what all its processes have used; `None` if they are on another machine.
    pub fn usage(&self) -> Option<Usage> {
        Usage::of_tree(self.postmaster?).ok()
    }

    /// Writes all changed pages, so that the next change of each goes into the WAL as a full page.
    pub fn checkpoint(&self) -> Result<()> {
        self.execute("checkpoint".to_owned())
    }

    /// Creates an empty database, with nothing left to be written from earlier ones.
    pub fn fresh(&self) -> Result<Database<'_>> {
        let number = self.databases.get() + 1;
        self.databases.set(number);
        let name = format!("bench_{}_{number}", std::process::id());
        self.execute(format!("create database {name}"))?;
        self.checkpoint()?;
        Ok(Database {
            postgres: self,
            options: self.server.clone().database(&name),
            name,
        })
    }

    fn execute(&self, statement: String) -> Result<()> {
        self.runtime.block_on(async {
            let mut connection = PgConnection::connect_with(&self.server).await?;
            let statement = sqlx::query(AssertSqlSafe(statement));
            statement.execute(&mut connection).await?;
            Ok(connection.close().await?)
        })
    }
}

/// Returns the only row of a query.
fn fetch<T>(runtime: &Runtime, options: &PgConnectOptions, query: &'static str) -> Result<T>
where
    T: Send + Unpin + for<'r> FromRow<'r, PgRow>,
{
    runtime.block_on(async {
        let connecting = PgConnection::connect_with(options);
        let mut connection = connecting.await.context("PostgreSQL is not reached")?;
        let row = sqlx::query_as(query).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(row)
    })
}

impl Database<'_> {
    pub fn url(&self) -> String {
        self.options.to_url_lossy().to_string()
    }

    /// Returns the size of the WAL so far: bytes, and full pages.
    pub fn wal_written(&self) -> Result<(i64, i64)> {
        fetch(&self.postgres.runtime, &self.options, WAL_WRITTEN)
    }

    /// Returns the reports in the log, and the duplicates that were counted.
    pub fn reports(&self) -> Result<(i64, i64)> {
        fetch(&self.postgres.runtime, &self.options, COUNT)
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        // A database that remains costs disk space until the server is removed.
        let drop = format!("drop database {} with (force)", self.name);
        let _ = self.postgres.execute(drop);
    }
}

const DESCRIPTION: &str = "select pg_backend_pid(), format('PostgreSQL %s, fsync %s, synchronous_commit %s, \
     shared_buffers %s, max_wal_size %s, wal_compression %s', \
     current_setting('server_version'), \
     current_setting('fsync'), current_setting('synchronous_commit'), \
     current_setting('shared_buffers'), current_setting('max_wal_size'), \
     current_setting('wal_compression'))";

const WAL_WRITTEN: &str = "select cast(pg_current_wal_insert_lsn() - '0/0' as bigint), \
                           (select wal_fpi from pg_stat_wal)";

const COUNT: &str = "select (select count(*) from reports), \
                     cast((select coalesce(sum(duplicates), 0) from messages) as bigint)";

/// [`Database::reports`] of an SQLite file.
pub fn reports_in_file(runtime: &Runtime, file: &Path) -> Result<(i64, i64)> {
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    runtime.block_on(async {
        let mut connection = options.connect().await?;
        let counts = sqlx::query_as(COUNT).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(counts)
    })
}
