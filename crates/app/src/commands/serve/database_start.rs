//! Starts with the database, or without it if it is unavailable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use ports::StoreError;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use usecases::ChannelDirectory;

use crate::background::BackgroundTask;
use crate::composition::{MIGRATION_LOCK_TIMEOUT, Stores};

/// How long to wait for the database if the server can start without it. The public listener
/// accepts connections already, so callers are waiting.
const START_TIMEOUT: Duration = Duration::from_secs(4);

/// How long the migration waits for a lock if the server can start without it.
const SHORT_LOCK_TIMEOUT: Duration = Duration::from_secs(3);

/// A migration of the schema. It continues after the start timed out: starting again would cost
/// the time again.
type Migration = JoinHandle<Result<(), StoreError>>;

/// How the server starts.
pub enum Start {
    /// With the current schema and the channels from the database.
    Complete,
    /// With the channel snapshot; the migration may still be running.
    WithoutDatabase(Option<Migration>),
}

impl Start {
    /// Returns the task that brings the schema up to date once the database is available; `None` if
    /// it is up to date.
    pub fn migrate_later(self, stores: &Stores) -> Option<BackgroundTask> {
        let Self::WithoutDatabase(running) = self else {
            return None;
        };
        let stores = stores.clone();
        let running = Arc::new(Mutex::new(running));
        let done = Arc::new(AtomicBool::new(false));
        Some(BackgroundTask::new(
            "migrate",
            Duration::from_secs(1),
            move || {
                let (stores, done) = (stores.clone(), Arc::clone(&done));
                let running = Arc::clone(&running);
                async move {
                    if !done.load(Ordering::Relaxed) {
                        let running = running.lock().await.take();
                        let migration =
                            running.unwrap_or_else(|| migrate(&stores, SHORT_LOCK_TIMEOUT));
                        migration.await??;
                        done.store(true, Ordering::Relaxed);
                    }
                    Ok(())
                }
            },
        ))
    }
}

/// Brings the schema up to date and reads the channels, or reads the channel snapshot if the
/// database does not answer in time. Without a snapshot it waits for the database.
pub async fn start(stores: &Stores, directory: &ChannelDirectory) -> Result<Start> {
    let snapshot = directory.load_snapshot();
    let has_snapshot = matches!(snapshot, Ok(true));
    let mut migration = migrate(
        stores,
        if has_snapshot {
            SHORT_LOCK_TIMEOUT
        } else {
            MIGRATION_LOCK_TIMEOUT
        },
    );
    let opening = open(&mut migration, directory);
    let opened = if has_snapshot {
        tokio::time::timeout(START_TIMEOUT, opening).await.ok()
    } else {
        Some(opening.await)
    };
    let error = match opened.transpose()? {
        Some(Ok(())) => return Ok(Start::Complete),
        Some(Err(error)) => anyhow::Error::new(error),
        None => anyhow!("it did not answer within {START_TIMEOUT:?}"),
    };
    match snapshot {
        Ok(true) => {}
        Ok(false) => {
            return Err(error.context(
                "the database cannot be used, and there is no channel snapshot to start with",
            ));
        }
        Err(unreadable) => {
            return Err(anyhow!(unreadable).context(format!(
                "the database cannot be used ({error:#}), and the channel snapshot cannot be read"
            )));
        }
    }
    tracing::warn!(
        error = format!("{error:#}"),
        "started without the database: authenticating callers with the channel snapshot, writing \
         reports to the journal"
    );
    let running = Some(migration).filter(|migration| !migration.is_finished());
    Ok(Start::WithoutDatabase(running))
}

#[expect(
    clippy::disallowed_methods,
    reason = "awaited here or by a background task"
)]
fn migrate(stores: &Stores, lock_timeout: Duration) -> Migration {
    let stores = stores.clone();
    tokio::spawn(async move { stores.migrate(lock_timeout).await })
}

/// Waits for the migration and reads the channels. The inner error is one with which the server
/// can start from the snapshot.
async fn open(
    migration: &mut Migration,
    directory: &ChannelDirectory,
) -> Result<Result<(), StoreError>> {
    match migration.await.context("the migration died")? {
        Ok(()) => Ok(directory.refresh().await.map(drop)),
        Err(error @ (StoreError::Unavailable(_) | StoreError::Locked(_))) => Ok(Err(error)),
        Err(error @ StoreError::Unsupported(_)) => Err(anyhow::Error::new(error)),
        Err(error @ (StoreError::Rejected { .. } | StoreError::Corrupt { .. })) => {
            let error = anyhow::Error::new(error);
            Err(error.context("the database has the schema of another program"))
        }
    }
}
