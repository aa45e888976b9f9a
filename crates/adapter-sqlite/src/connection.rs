//! The file and its connections: one that writes, some that read.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use ports::{StoreError, error::Source};
use sqlx::migrate::MigrateError;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, MutexGuard};

use crate::error::{cause, corrupt, store_error};
use crate::schema::{self, MIGRATIONS};

/// All stores on one SQLite file. Clones share their connections.
///
/// A dedicated connection writes, and whoever wants it waits in line: SQLite has one writer
/// anyway, and this way nobody waits in a busy loop or is told to try again. Some more
/// connections read, and see what was committed before they began.
///
/// Other processes, such as the command line, may use the file at the same time.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    pub(crate) readers: SqlitePool,
    writer: Arc<Mutex<Option<SqliteConnection>>>,
    pub(crate) runtime: Handle,
    options: SqliteConnectOptions,
}

/// Why a file cannot be opened as a store.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is none.
    #[error("there is no database at {path}", path = .path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// It is named wrongly.
    #[error("a SQLite store is a path, or a URL like sqlite:data/receipts.db")]
    InvalidUrl(#[source] Source),
    /// The file, or the folder it is to stand in, cannot be made.
    #[error("cannot make {path}", path = .path.display())]
    Create {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file is there and SQLite does not open it.
    #[error("cannot open {path} as a SQLite database", path = .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Source,
    },
}

/// How long a statement waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How many connections read.
const READERS: u32 = 4;

/// From this many pages (80 MB) on, a commit copies the log into the file itself. It is the
/// net below [`SqliteStore::checkpoint`]: a writer that never rests appends 9,000 pages a
/// second, so whoever calls that every two seconds never gets here.
const CHECKPOINT_PAGES: &str = "20000";

/// The writer keeps this much (in KiB) of the file in memory: a batch changes some hundred
/// pages, and what does not fit is written twice.
const WRITER_CACHE: &str = "-16384";

/// So many rows are fetched before the connection's thread waits for their reader.
const ROW_BUFFER: usize = 1_024;

/// The log is cut back to this many bytes when it starts anew.
const JOURNAL_SIZE_LIMIT: &str = "67108864";

impl SqliteStore {
    /// Opens a file by its path or its `sqlite:` URL. If there is none it is made, readable
    /// for its owner only, and so are the folders above it. There are no tables before
    /// [`SqliteStore::migrate`].
    pub async fn connect(url: &str) -> Result<Self, OpenError> {
        let options = connect_options(url)?;
        create(options.get_filename())?;
        Self::open(options).await
    }

    /// Returns whether there is a file at a path or its `sqlite:` URL.
    pub fn is_there(url: &str) -> Result<bool, OpenError> {
        Ok(connect_options(url)?.get_filename().exists())
    }

    /// Opens a file like [`SqliteStore::connect`], and makes none.
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
                source: error.into(),
            })?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(BUSY_TIMEOUT)
            // There from the beginning, and for good: each has a thread, and that has the
            // priority of the one that made it.
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

    /// Brings the tables up to date, all steps or none. Several processes may do it at once.
    /// Steps that a later release has added are left alone. Takes the write lock only if there
    /// is something to do, so that a start does not wait for a process that holds it.
    ///
    /// [`StoreError::Corrupt`] if the steps applied there are not the ones known here.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let migrator = schema::migrator();
        if self.is_migrated(&migrator).await? {
            return Ok(());
        }
        let mut writer = self.writer().await.map_err(store_error(MIGRATIONS))?;
        let begun = writer.connection.begin_with("begin immediate").await;
        let mut transaction = begun.map_err(store_error(MIGRATIONS))?;
        // Not `run`, whose future is not `Send` on a connection.
        let run = migrator.run_direct(None, &mut *transaction, false).await;
        run.map_err(migration_error)?;
        transaction
            .commit()
            .await
            .map_err(store_error(MIGRATIONS))?;
        writer.keep();
        Ok(())
    }

    /// Closes the connections when what runs on them has ended. The store is of no use
    /// afterwards. The last process to close the file leaves it without a log beside it.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.readers.close().await;
        match self.writer.lock().await.take() {
            Some(writer) => writer.close().await.map_err(store_error("sqlite_schema")),
            None => Ok(()),
        }
    }

    /// Begins a step that writes, when those that came before have ended.
    pub(crate) async fn begin(&self) -> Result<Write<'_>, sqlx::Error> {
        let mut writer = self.writer().await?;
        // A deferred transaction that reads first and then writes fails in a race.
        sqlx::query("begin immediate")
            .execute(&mut writer.connection)
            .await?;
        Ok(Write(writer))
    }

    /// A step whose first text begins it, when those that came before have ended.
    pub(crate) async fn begun_by_text(&self) -> Result<Write<'_>, sqlx::Error> {
        Ok(Write(self.writer().await?))
    }

    /// A new writer. Its thread has the priority of the one that makes it, so that is one of
    /// the runtime's own, whoever waits for it.
    async fn connect_again(&self) -> Result<SqliteConnection, sqlx::Error> {
        let options = self.options.clone();
        let connecting = async move { connect_writer(&options).await };
        self.runtime
            .spawn(connecting)
            .await
            .unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }

    /// Waits until nobody writes in this process, and keeps it so.
    pub(crate) async fn writer(&self) -> Result<Writer<'_>, sqlx::Error> {
        let mut place = self.writer.lock().await;
        let connection = match place.take() {
            Some(connection) => connection,
            None => self.connect_again().await?,
        };
        Ok(Writer { place, connection })
    }
}

/// The connection that writes. When dropped it is closed, and a new one is opened for
/// whoever is next, unless [`Writer::keep`] says that it is as good as before: a step that
/// failed or was given up midway leaves nobody knows what.
pub(crate) struct Writer<'a> {
    place: MutexGuard<'a, Option<SqliteConnection>>,
    connection: SqliteConnection,
}

impl Writer<'_> {
    pub(crate) fn keep(mut self) {
        *self.place = Some(self.connection);
    }
}

/// A step that writes. When dropped, nothing of it was done.
pub(crate) struct Write<'a>(Writer<'a>);

impl Write<'_> {
    /// When this returns `Ok` the step is on the disk.
    pub(crate) async fn commit(mut self) -> Result<(), sqlx::Error> {
        sqlx::query("commit").execute(&mut *self).await?;
        self.0.keep();
        Ok(())
    }

    /// The last statement was a commit, and it has worked.
    pub(crate) fn committed(self) {
        self.0.keep();
    }

    /// Like dropping it, without the price of a new connection.
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

fn connect_options(url: &str) -> Result<SqliteConnectOptions, OpenError> {
    let options = if url.starts_with("sqlite:") {
        SqliteConnectOptions::from_str(url).map_err(|error| OpenError::InvalidUrl(error.into()))?
    } else {
        SqliteConnectOptions::new().filename(url)
    };
    let path = options.get_filename();
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let in_memory = path.to_string_lossy().starts_with("file:")
        || query.split('&').any(|parameter| parameter == "mode=memory");
    if in_memory || path.as_os_str().is_empty() {
        let why = "each of several connections would have a database of its own";
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
        // A statement of many rows keeps what it changes until it is done, to be able to take
        // it back alone: in memory, not in a file.
        .pragma("temp_store", "memory")
        .connect()
        .await
}

/// Makes the file and the folders above it, for their owner only. Those that are there stay
/// as they are. SQLite gives its log the mode of the file.
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
