//! The file and its connections: one writer, some readers.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use ports::{StoreError, error::Source};
use sql_rows::error::migration_error;
use sql_rows::schema::MIGRATIONS;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, MutexGuard};

use crate::error::{cause, store_error};
use crate::schema;

/// All stores on one SQLite file. Clones share their connections.
///
/// One connection writes, and writers queue for it: SQLite allows one writer anyway, and a queue
/// needs no busy loop and no retries. Some more connections read what was committed before they
/// began.
///
/// Other processes, such as the command line, may use the file at the same time.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    pub(crate) readers: SqlitePool,
    writer: Arc<Mutex<Option<SqliteConnection>>>,
    /// Where connections are opened and operations run.
    pub(crate) runtime: Handle,
    options: SqliteConnectOptions,
}

/// Why a file cannot be opened as a store.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file does not exist.
    #[error("there is no database at {path}", path = .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The URL is invalid.
    #[error("a SQLite store is a path, or a URL like sqlite:data/receipts.db")]
    InvalidUrl(#[source] Source),
    /// The file or a folder above it cannot be created.
    #[error("cannot create {path}", path = .path.display())]
    Create {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// SQLite cannot open the file.
    #[error("cannot open {path} as a SQLite database", path = .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: Source,
    },
}

/// How long a statement waits while another process writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The number of reading connections.
const READERS: u32 = 4;

/// From this many pages (80 MB) on, a commit copies the WAL into the file itself. This is the
/// fallback of [`SqliteStore::checkpoint`]: a busy writer appends 9,000 pages a second, so a
/// checkpoint every two seconds keeps below it.
const CHECKPOINT_PAGES: &str = "20000";

/// The writer's cache in KiB: a batch changes some hundred pages, and what does not fit is
/// written twice.
const WRITER_CACHE: &str = "-16384";

/// How many rows the connection's thread fetches ahead of their reader.
const ROW_BUFFER: usize = 1_024;

/// The WAL is truncated to this many bytes when it restarts.
const JOURNAL_SIZE_LIMIT: &str = "67108864";

impl SqliteStore {
    /// Opens a file by its path or its `sqlite:` URL. If it does not exist it is created, readable
    /// for its owner only, and so are the folders above it. It has no tables until
    /// [`SqliteStore::migrate`].
    pub async fn connect(url: &str) -> Result<Self, OpenError> {
        let options = connect_options(url)?;
        create(options.get_filename())?;
        Self::open(options).await
    }

    /// Returns whether the file at a path or `sqlite:` URL exists.
    pub fn is_there(url: &str) -> Result<bool, OpenError> {
        Ok(connect_options(url)?.get_filename().exists())
    }

    /// Opens a file like [`SqliteStore::connect`], but does not create it.
    pub async fn connect_existing(url: &str) -> Result<Self, OpenError> {
        let options = connect_options(url)?;
        let path = options.get_filename();
        if !path.exists() {
            return Err(OpenError::Missing {
                path: path.to_owned(),
            });
        }
        Self::open(options).await
    }

    async fn open(options: SqliteConnectOptions) -> Result<Self, OpenError> {
        let path = options.get_filename().to_owned();
        let writer = connect_writer(&options)
            .await
            .map_err(|error| OpenError::Open {
                path,
                source: cause(error),
            })?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(BUSY_TIMEOUT)
            // Opened now and never closed: each has a thread, which inherits the priority of the
            // one that opens it.
            .min_connections(READERS)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(options.clone().pragma("query_only", "on"));
        Ok(Self {
            readers,
            writer: Arc::new(Mutex::new(Some(writer))),
            runtime: Handle::current(),
            options,
        })
    }

    /// Returns the path of the file.
    pub(crate) fn path(&self) -> &Path {
        self.options.get_filename()
    }

    /// Applies the missing migrations, all or none. Several processes may do so at once.
    /// Migrations of a later release are ignored. Locks the file only if a migration is missing,
    /// so that a start does not wait for a process that is writing.
    ///
    /// Fails with [`StoreError::Corrupt`] if an applied migration differs from the one known
    /// here, with [`StoreError::Unsupported`] if the schema is from before the first release.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let migrator = schema::migrator();
        if self.is_migrated(&migrator).await? {
            return Ok(());
        }
        let mut writer = self.writer().await.map_err(store_error(MIGRATIONS))?;
        let begun = writer.connection.begin_with("begin immediate").await;
        let mut transaction = begun.map_err(store_error(MIGRATIONS))?;
        // Not `run`, whose future is not `Send` on a connection.
        let migrated = migrator.run_direct(None, &mut *transaction, false).await;
        migrated.map_err(|error| migration_error(error, store_error(MIGRATIONS)))?;
        transaction
            .commit()
            .await
            .map_err(store_error(MIGRATIONS))?;
        writer.keep();
        Ok(())
    }

    /// Closes the connections once their statements have ended. The store cannot be used
    /// afterwards. The last process that closes the file removes its WAL.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.readers.close().await;
        match self.writer.lock().await.take() {
            Some(writer) => writer.close().await.map_err(store_error("sqlite_schema")),
            None => Ok(()),
        }
    }

    /// Begins a transaction that writes, once earlier ones have ended.
    pub(crate) async fn begin(&self) -> Result<Write<'_>, sqlx::Error> {
        let mut writer = self.writer().await?;
        // A deferred transaction that reads first and then writes fails in a race.
        sqlx::query("begin immediate")
            .execute(&mut writer.connection)
            .await?;
        Ok(Write(writer))
    }

    /// The same, but the caller's first text has to contain `begin immediate`.
    pub(crate) async fn begun_by_text(&self) -> Result<Write<'_>, sqlx::Error> {
        Ok(Write(self.writer().await?))
    }

    /// Opens a new writer. Its thread inherits the priority of the one that opens it, which
    /// therefore has to be one of the runtime's own.
    async fn connect_again(&self) -> Result<SqliteConnection, sqlx::Error> {
        let options = self.options.clone();
        let connecting = async move { connect_writer(&options).await };
        self.runtime
            .spawn(connecting)
            .await
            .unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }

    /// Waits for the writer of this process and returns it for exclusive use.
    pub(crate) async fn writer(&self) -> Result<Writer<'_>, sqlx::Error> {
        let mut place = self.writer.lock().await;
        let connection = match place.take() {
            Some(connection) => connection,
            None => self.connect_again().await?,
        };
        Ok(Writer { place, connection })
    }
}

/// The connection that writes. When dropped it is closed, and a new one is opened for the next
/// caller, unless [`Writer::keep`] confirms that it is usable: a transaction that failed or was
/// cancelled midway leaves an unknown state.
pub(crate) struct Writer<'a> {
    place: MutexGuard<'a, Option<SqliteConnection>>,
    connection: SqliteConnection,
}

impl Writer<'_> {
    pub(crate) fn keep(mut self) {
        *self.place = Some(self.connection);
    }
}

/// A transaction that writes. It is rolled back when dropped.
pub(crate) struct Write<'a>(Writer<'a>);

impl Write<'_> {
    /// When this returns `Ok` the transaction is on disk.
    pub(crate) async fn commit(mut self) -> Result<(), sqlx::Error> {
        sqlx::query("commit").execute(&mut *self).await?;
        self.0.keep();
        Ok(())
    }

    /// Keeps the connection after the last statement was a successful commit.
    pub(crate) fn committed(self) {
        self.0.keep();
    }

    /// Like dropping it, without the cost of a new connection.
    pub(crate) async fn roll_back(mut self) {
        if sqlx::query("rollback").execute(&mut *self).await.is_ok() {
            self.0.keep();
        }
    }
}

impl Deref for Write<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.0.connection
    }
}

impl DerefMut for Write<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.0.connection
    }
}

fn connect_options(url: &str) -> Result<SqliteConnectOptions, OpenError> {
    let options = if url.starts_with("sqlite:") {
        SqliteConnectOptions::from_str(url).map_err(|error| OpenError::InvalidUrl(cause(error)))?
    } else {
        SqliteConnectOptions::new().filename(url)
    };
    let path = options.get_filename();
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let in_memory = path.to_string_lossy().starts_with("file:")
        || query.split('&').any(|parameter| parameter == "mode=memory");
    if in_memory || path.as_os_str().is_empty() {
        let why = "an in-memory database is not shared by several connections";
        return Err(OpenError::InvalidUrl(why.into()));
    }
    Ok(options
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .row_buffer_size(ROW_BUFFER))
}

async fn connect_writer(options: &SqliteConnectOptions) -> Result<SqliteConnection, sqlx::Error> {
    options
        .clone()
        .journal_mode(SqliteJournalMode::Wal)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("journal_size_limit", JOURNAL_SIZE_LIMIT)
        .pragma("cache_size", WRITER_CACHE)
        // A statement journal, which can undo a statement of many rows alone: in memory, not in a
        // file.
        .pragma("temp_store", "memory")
        .connect()
        .await
}

/// Creates the file and the folders above it, for their owner only. Existing ones stay as they
/// are. SQLite gives the WAL the mode of the file.
fn create(path: &Path) -> Result<(), OpenError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |source| OpenError::Create { path, source }
    };
    let (mut folders, mut file) = (DirBuilder::new(), OpenOptions::new());
    folders.recursive(true);
    file.append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
        folders.mode(0o700);
        file.mode(0o600);
    }
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        folders.create(folder).map_err(failed(folder))?;
    }
    file.open(path).map_err(failed(path)).map(drop)
}
