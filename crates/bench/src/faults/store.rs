//! The databases of scenarios, and what they contain.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::str::FromStr as _;

use anyhow::{Context as _, Result, bail, ensure};
use domain::MessageSid;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;
use testkit::cluster::{Cluster, Options};
use tokio::runtime::Runtime;

use super::report::Report;
use crate::CHANNEL;
use crate::installation::temporary_folder;
use crate::wait::runtime;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseEngine {
    Sqlite,
    Postgres,
}

impl DatabaseEngine {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// Connects a store of the adapters to a URL, gives it to `$work`, and closes it.
macro_rules! with_store {
    ($engine:expr, $url:expr, |$store:ident| $work:expr) => {
        match $engine {
            DatabaseEngine::Sqlite => {
                let connected = adapter_sqlite::SqliteStore::connect($url).await?;
                let $store = Arc::new(connected.clone());
                let result = $work;
                connected.close().await?;
                result
            }
            DatabaseEngine::Postgres => {
                let options = adapter_postgres::Options::default();
                let connected = adapter_postgres::PostgresStore::connect($url, &options)?;
                let $store = Arc::new(connected.clone());
                let result = $work;
                connected.close().await;
                result
            }
        }
    };
}
pub(super) use with_store;

/// The database of one scenario.
pub enum ScenarioStore {
    /// SQLite in a folder of its own.
    File(TempDir),
    Server(DurableServer),
}

/// A PostgreSQL server that writes commits to the disk and can be stopped.
pub struct DurableServer {
    cluster: Cluster,
}

/// What a database contains.
#[derive(Debug, Default)]
pub struct StoredData {
    /// How often each report is in the log.
    pub reports: HashMap<Report, u64>,
    /// The rank of the status of each message; `None` if it has no status.
    pub ranks: HashMap<String, Option<i64>>,
    /// The statuses reported for each message with their revisions, unsorted.
    pub statuses: HashMap<String, Vec<(i64, String)>>,
    /// The number of rejections.
    pub rejections: i64,
}

const DATABASE: &str = "receipts";

impl ScenarioStore {
    pub fn new(engine: DatabaseEngine) -> Result<Self> {
        match engine {
            DatabaseEngine::Sqlite => temporary_folder().map(Self::File),
            DatabaseEngine::Postgres => DurableServer::start().map(Self::Server),
        }
    }

    pub const fn engine(&self) -> DatabaseEngine {
        match self {
            Self::File(_) => DatabaseEngine::Sqlite,
            Self::Server(_) => DatabaseEngine::Postgres,
        }
    }

    pub fn url(&self) -> String {
        match self {
            Self::File(folder) => {
                format!("sqlite:{}", folder.path().join("receipts.db").display())
            }
            Self::Server(server) => server.url(),
        }
    }

    /// Returns the PostgreSQL server; an error on SQLite.
    pub fn server(&self) -> Result<&DurableServer> {
        match self {
            Self::Server(server) => Ok(server),
            Self::File(_) => bail!("an embedded database has no server"),
        }
    }

    /// Makes the database refuse every report with this word in one of its fields.
    pub fn refuse(&self, word: &str) -> Result<()> {
        match self {
            Self::File(_) => runtime()?.block_on(async {
                let refuse = format!(
                    "create trigger refuse before insert on reports \
                     when new.fields like '%{word}%' begin select raise(abort, 'refused'); end"
                );
                let options = SqliteConnectOptions::from_str(&self.url())?;
                let mut connection = options.connect().await?;
                connection.execute(AssertSqlSafe(refuse)).await?;
                Ok(connection.close().await?)
            }),
            Self::Server(server) => server.execute(&format!(
                "alter table reports add constraint refuse \
                 check (fields::text not like '%{word}%')"
            )),
        }
    }

    pub fn stored(&self) -> Result<StoredData> {
        StoredData::of(&self.url())
    }
}

const REPORTS: &str = "select channel_id, sid, status, error_code, cast(revision as bigint) \
                       from reports";
const MESSAGES: &str = "select channel_id, sid, cast(status_rank as bigint) from messages";
const REJECTIONS: &str = "select count(*) from rejections";

type ReportRow = (String, Vec<u8>, String, Option<String>, i64);
type MessageRow = (String, Vec<u8>, Option<i64>);

/// Reads all rows on a connection of either engine.
macro_rules! read_all {
    ($connection:expr) => {{
        let mut connection = $connection;
        let reports = sqlx::query_as(REPORTS).fetch_all(&mut connection).await?;
        let messages = sqlx::query_as(MESSAGES).fetch_all(&mut connection).await?;
        let rejections = sqlx::query_scalar(REJECTIONS);
        let rejections = rejections.fetch_one(&mut connection).await?;
        connection.close().await?;
        StoredData::from_rows(reports, messages, rejections)
    }};
}

impl StoredData {
    /// Returns what the database of a URL contains.
    pub fn of(url: &str) -> Result<Self> {
        runtime()?.block_on(async {
            if url.starts_with("sqlite:") {
                read_all!(SqliteConnectOptions::from_str(url)?.connect().await?)
            } else {
                read_all!(PgConnection::connect(url).await?)
            }
        })
    }

    fn from_rows(
        reports: Vec<ReportRow>,
        messages: Vec<MessageRow>,
        rejections: i64,
    ) -> Result<Self> {
        let mut stored = Self {
            rejections,
            ..Self::default()
        };
        for (channel, sid, status, code, revision) in reports {
            let sid = sid_of(&channel, &sid)?;
            let statuses = stored.statuses.entry(sid.clone()).or_default();
            statuses.push((revision, status.clone()));
            let report = Report { sid, status, code };
            *stored.reports.entry(report).or_default() += 1;
        }
        for (channel, sid, rank) in messages {
            stored.ranks.insert(sid_of(&channel, &sid)?, rank);
        }
        Ok(stored)
    }
}

fn sid_of(channel: &str, compact: &[u8]) -> Result<String> {
    ensure!(channel == CHANNEL, "a report is on the channel {channel}");
    let sid = MessageSid::from_compact(compact).context("a message has no id")?;
    Ok(sid.as_str().to_owned())
}

impl DurableServer {
    fn start() -> Result<Self> {
        let cluster = Cluster::start_with(&Options {
            durable: true,
            ..Options::default()
        });
        let cluster = cluster.context("PostgreSQL does not start")?;
        let create = format!("create database {DATABASE}");
        execute(&cluster.url("postgres"), &create)?;
        Ok(Self { cluster })
    }

    fn url(&self) -> String {
        self.cluster.url(DATABASE)
    }

    /// Returns the URL of the database through a proxy.
    pub fn url_through(proxy: SocketAddr) -> String {
        format!("postgres://postgres@{proxy}/{DATABASE}")
    }

    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.cluster.port()).into()
    }

    /// Stops the server as a crash would.
    pub fn stop(&self) -> Result<()> {
        Ok(self.cluster.stop_immediately()?)
    }

    /// Starts the server again on the same data.
    pub fn start_again(&self) -> Result<()> {
        Ok(self.cluster.start_again()?)
    }

    pub fn execute(&self, statement: &str) -> Result<()> {
        execute(&self.url(), statement)
    }

    /// Returns the text that a query returns.
    pub fn query(&self, query: &str) -> Result<String> {
        let query = AssertSqlSafe(query.to_owned());
        runtime()?.block_on(async {
            let mut connection = PgConnection::connect(&self.url()).await?;
            let answer = sqlx::query_scalar(query).fetch_one(&mut connection).await?;
            connection.close().await?;
            Ok(answer)
        })
    }

    pub fn start_standby(&self) -> Result<Self> {
        let standby = Self {
            cluster: self.cluster.start_standby()?,
        };
        // A receiver reports a server without fsync as degraded.
        standby.execute("alter system set fsync = on")?;
        standby.execute("select pg_reload_conf()")?;
        Ok(standby)
    }

    /// Makes this standby a primary.
    pub fn promote(&self) -> Result<()> {
        Ok(self.cluster.promote()?)
    }

    /// Backs the database up and restores it on a new server, as `docs/operating/backup.md` says.
    pub fn restore_elsewhere(&self) -> Result<Self> {
        let file = self.cluster.socket_dir().join("receipts.dump");
        let file = file.to_string_lossy();
        let dump = ["--format=custom", "--file", &file, DATABASE];
        self.cluster.run("pg_dump", &dump)?;
        let new = Self::start()?;
        let restore = ["--exit-on-error", "--no-owner", "--dbname", DATABASE, &file];
        new.cluster.run("pg_restore", &restore)?;
        Ok(new)
    }

    /// Executes a statement in a transaction that remains open until the lock is dropped.
    pub fn lock(&self, statement: &str) -> Result<Lock> {
        let runtime = runtime()?;
        let statement = AssertSqlSafe(statement.to_owned());
        let mut connection = runtime.block_on(PgConnection::connect(&self.url()))?;
        runtime.block_on(connection.execute("begin"))?;
        runtime.block_on(connection.execute(statement))?;
        // The server ends the transaction with the connection.
        Ok(Lock::new(runtime, async move {
            drop(connection.close().await);
        }))
    }
}

fn execute(url: &str, statement: &str) -> Result<()> {
    let statement = AssertSqlSafe(statement.to_owned());
    runtime()?.block_on(async {
        let mut connection = PgConnection::connect(url).await?;
        sqlx::raw_sql(statement).execute(&mut connection).await?;
        Ok(connection.close().await?)
    })
}

/// A lock in a database, released when it is dropped.
pub struct Lock {
    runtime: Runtime,
    release: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Lock {
    fn new(runtime: Runtime, release: impl Future<Output = ()> + 'static) -> Self {
        Self {
            runtime,
            release: Some(Box::pin(release)),
        }
    }

    /// Takes the write lock of an SQLite database, as a backup tool or a shell does.
    pub fn on_sqlite(url: &str) -> Result<Self> {
        let runtime = runtime()?;
        let options = SqliteConnectOptions::from_str(url)?;
        let mut connection = runtime.block_on(options.connect())?;
        runtime.block_on(connection.execute("begin immediate"))?;
        Ok(Self::new(runtime, async move {
            let _ = connection.execute("rollback").await;
            drop(connection.close().await);
        }))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(release) = self.release.take() {
            self.runtime.block_on(release);
        }
    }
}
