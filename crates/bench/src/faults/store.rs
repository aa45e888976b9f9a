//! The databases that reports end up in, and what is in them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::str::FromStr as _;

use anyhow::{Context as _, Result, bail};
use bench::CHANNEL;
use domain::MessageSid;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;
use testkit::cluster::{Cluster, Options};
use tokio::runtime::Runtime;

use crate::report::Report;

/// Which engine keeps the reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The embedded one.
    Sqlite,
    /// The server.
    Postgres,
}

/// A database of one's own.
pub enum Store {
    /// A file in a folder.
    File(TempDir),
    /// A server that can be stopped.
    Server(Postgres),
}

/// A PostgreSQL server whose commits reach the disk.
pub struct Postgres {
    cluster: Cluster,
}

/// What is in a database.
#[derive(Debug, Default)]
pub struct Kept {
    /// How often each report stands in the log.
    pub reports: HashMap<Report, u64>,
    /// The rank of the state of each message; `None` if it has none.
    pub ranks: HashMap<String, Option<i64>>,
    /// The words reported of each message by the log, with their revisions, in
    /// no order.
    pub words: HashMap<String, Vec<(i64, String)>>,
    /// How many rejections there are.
    pub rejections: i64,
}

const DATABASE: &str = "receipts";

impl Engine {
    /// Its name in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

impl Store {
    /// An empty database.
    pub fn new(engine: Engine) -> Result<Self> {
        match engine {
            Engine::Sqlite => Ok(Self::File(
                tempfile::Builder::new()
                    .prefix("receiptd-faults-")
                    .tempdir()?,
            )),
            Engine::Postgres => Postgres::start().map(Self::Server),
        }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        match self {
            Self::File(folder) => {
                format!("sqlite:{}", folder.path().join("receipts.db").display())
            }
            Self::Server(postgres) => postgres.url(),
        }
    }

    /// From now on it refuses every report with this word in one of its fields.
    pub fn refuse(&self, word: &str) -> Result<()> {
        let url = self.url();
        runtime()?.block_on(async {
            match self {
                Self::File(_) => {
                    let refuse = format!(
                        "create trigger refuse before insert on reports \
                         when new.fields like '%{word}%' \
                         begin select raise(abort, 'refused'); end"
                    );
                    let mut connection = SqliteConnectOptions::from_str(&url)?.connect().await?;
                    connection.execute(AssertSqlSafe(refuse)).await?;
                    connection.close().await?;
                }
                Self::Server(_) => {
                    let refuse = format!(
                        "alter table reports add constraint refuse \
                         check (fields::text not like '%{word}%')"
                    );
                    let mut connection = PgConnection::connect(&url).await?;
                    connection.execute(AssertSqlSafe(refuse)).await?;
                    connection.close().await?;
                }
            }
            Ok(())
        })
    }

    /// What is in it.
    pub fn kept(&self) -> Result<Kept> {
        Self::kept_in(&self.url())
    }

    /// What is in the database of a URL.
    pub fn kept_in(url: &str) -> Result<Kept> {
        runtime()?.block_on(async {
            if url.starts_with("sqlite:") {
                let mut connection = SqliteConnectOptions::from_str(url)?.connect().await?;
                let reports = sqlx::query_as(REPORTS).fetch_all(&mut connection).await?;
                let messages = sqlx::query_as(MESSAGES).fetch_all(&mut connection).await?;
                let rejections = sqlx::query_scalar(REJECTIONS)
                    .fetch_one(&mut connection)
                    .await?;
                connection.close().await?;
                Kept::of(reports, messages, rejections)
            } else {
                let mut connection = PgConnection::connect(url).await?;
                let reports = sqlx::query_as(REPORTS).fetch_all(&mut connection).await?;
                let messages = sqlx::query_as(MESSAGES).fetch_all(&mut connection).await?;
                let rejections = sqlx::query_scalar(REJECTIONS)
                    .fetch_one(&mut connection)
                    .await?;
                connection.close().await?;
                Kept::of(reports, messages, rejections)
            }
        })
    }
}

const REPORTS: &str = "select channel_id, sid, status, error_code, cast(revision as bigint) \
                       from reports";
const MESSAGES: &str = "select channel_id, sid, cast(status_rank as bigint) from messages";
const REJECTIONS: &str = "select count(*) from rejections";

type ReportRow = (String, Vec<u8>, String, Option<String>, i64);
type MessageRow = (String, Vec<u8>, Option<i64>);

impl Kept {
    fn of(reports: Vec<ReportRow>, messages: Vec<MessageRow>, rejections: i64) -> Result<Self> {
        let mut kept = Self {
            rejections,
            ..Self::default()
        };
        for (channel, sid, status, code, revision) in reports {
            let sid = sid_of(&channel, &sid)?;
            let words = kept.words.entry(sid.clone()).or_default();
            words.push((revision, status.clone()));
            let report = Report { sid, status, code };
            *kept.reports.entry(report).or_default() += 1;
        }
        for (channel, sid, rank) in messages {
            kept.ranks.insert(sid_of(&channel, &sid)?, rank);
        }
        Ok(kept)
    }
}

fn sid_of(channel: &str, compact: &[u8]) -> Result<String> {
    if channel != CHANNEL {
        bail!("there is a report on the channel {channel}");
    }
    let sid = MessageSid::from_compact(compact).context("there is a message without id")?;
    Ok(sid.as_str().to_owned())
}

impl Postgres {
    fn start() -> Result<Self> {
        let cluster = Cluster::start_with(&Options {
            durable: true,
            ..Options::default()
        });
        let cluster = cluster.context("PostgreSQL does not start")?;
        let create = AssertSqlSafe(format!("create database {DATABASE}"));
        runtime()?.block_on(async {
            let mut connection = PgConnection::connect(&cluster.url("postgres")).await?;
            connection.execute(create).await?;
            connection.close().await
        })?;
        Ok(Self { cluster })
    }

    fn url(&self) -> String {
        self.cluster.url(DATABASE)
    }

    /// Its URL behind a proxy.
    pub fn url_through(proxy: SocketAddr) -> String {
        format!("postgres://postgres@{proxy}/{DATABASE}")
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.cluster.port()).into()
    }

    /// Stops it as a crash would.
    pub fn stop(&self) -> Result<()> {
        Ok(self.cluster.stop_immediately()?)
    }

    /// Starts it again on the same data.
    pub fn start_again(&self) -> Result<()> {
        Ok(self.cluster.start_again()?)
    }

    /// Carries out a statement.
    pub fn execute(&self, statement: &str) -> Result<()> {
        let statement = AssertSqlSafe(statement.to_owned());
        runtime()?.block_on(async {
            let mut connection = PgConnection::connect(&self.url()).await?;
            sqlx::raw_sql(statement).execute(&mut connection).await?;
            connection.close().await?;
            Ok(())
        })
    }

    /// The answer to a question with one text.
    pub fn ask(&self, query: &str) -> Result<String> {
        let query = AssertSqlSafe(query.to_owned());
        runtime()?.block_on(async {
            let mut connection = PgConnection::connect(&self.url()).await?;
            let answer = sqlx::query_scalar(query).fetch_one(&mut connection).await?;
            connection.close().await?;
            Ok(answer)
        })
    }

    /// Starts a standby of this server.
    pub fn start_standby(&self) -> Result<Self> {
        let standby = Self {
            cluster: self.cluster.start_standby()?,
        };
        // A receiver says of a server that does not sync that it is degraded.
        standby.execute("alter system set fsync = on")?;
        standby.execute("select pg_reload_conf()")?;
        Ok(standby)
    }

    /// Makes this standby a primary.
    pub fn promote(&self) -> Result<()> {
        Ok(self.cluster.promote()?)
    }

    /// Backs the database up and restores it on a new server, as `docs/operating.md` says.
    pub fn restore_elsewhere(&self) -> Result<Self> {
        let file = self.cluster.socket_dir().join("receipts.dump");
        let file = file.to_string_lossy();
        self.cluster
            .run("pg_dump", &["--format=custom", "--file", &file, DATABASE])?;
        let new = Self::start()?;
        new.cluster.run(
            "pg_restore",
            &["--exit-on-error", "--no-owner", "--dbname", DATABASE, &file],
        )?;
        Ok(new)
    }

    /// Keeps the rows of a query locked until the lock is dropped.
    pub fn lock_rows(&self, query: &str) -> Result<Lock> {
        self.hold(&format!("{query} for update"))
    }

    /// Keeps everybody away from the messages until the lock is dropped.
    pub fn lock_messages(&self) -> Result<Lock> {
        self.lock("messages")
    }

    /// The same with any tables.
    pub fn lock(&self, tables: &str) -> Result<Lock> {
        self.hold(&format!("lock table {tables} in access exclusive mode"))
    }

    fn hold(&self, lock: &str) -> Result<Lock> {
        let runtime = runtime()?;
        let lock = AssertSqlSafe(lock.to_owned());
        let connection = runtime.block_on(async {
            let mut connection = PgConnection::connect(&self.url()).await?;
            connection.execute("begin").await?;
            connection.execute(lock).await?;
            Ok::<_, sqlx::Error>(connection)
        })?;
        Ok(Lock {
            runtime,
            connection: Some(connection),
        })
    }
}

/// A lock on tables or rows.
pub struct Lock {
    runtime: Runtime,
    connection: Option<PgConnection>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            // The server lets go of it at the latest when this process ends.
            let _ = self.runtime.block_on(connection.close());
        }
    }
}

fn runtime() -> Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    Ok(builder.enable_all().build()?)
}
