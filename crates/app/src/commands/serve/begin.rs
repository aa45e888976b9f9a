//! Before the first report: the schema, and who may report.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use ports::StoreError;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use usecases::ChannelDirectory;

use crate::composition::{PATIENT, Stores};
use crate::workers::Worker;

/// How long the database may take where one can start without it. Callers are waiting: the
/// public listener takes connections already.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long the schema may wait for a lock then.
const HASTY: Duration = Duration::from_secs(3);

/// Bringing the schema up to date. It goes on when nobody waits for it any more: to begin anew
/// would cost the time again.
pub type Migrating = JoinHandle<Result<(), StoreError>>;

/// What a receiver starts with.
pub enum Start {
    /// The schema, and the channels as the database has them.
    Complete,
    /// A copy of the channels; the schema may be on its way.
    WithoutDatabase(Option<Migrating>),
}

/// Brings the schema up to date and reads the channels, or takes them from the copy if the
/// database does not do so in time.
pub async fn begin(stores: &Stores, directory: &ChannelDirectory) -> Result<Start> {
    // Read first: without one there is nobody to serve, and the database is waited for.
    let copy = directory.load_snapshot();
    let has_copy = matches!(copy, Ok(true));
    let mut migrating = migrate(stores, if has_copy { HASTY } else { PATIENT });
    let reaching = reach(&mut migrating, directory);
    let reached = if has_copy {
        tokio::time::timeout(PATIENCE, reaching).await.ok()
    } else {
        Some(reaching.await)
    };
    let error = match reached.transpose()? {
        Some(Ok(())) => return Ok(Start::Complete),
        Some(Err(error)) => anyhow::Error::new(error),
        None => anyhow!("it did not answer in time"),
    };
    match copy {
        Ok(true) => {}
        Ok(false) => {
            return Err(error.context(
                "the database cannot be used, and there is no copy of its channels to start with",
            ));
        }
        Err(unreadable) => {
            return Err(anyhow!(unreadable).context(format!(
                "the database cannot be used ({error:#}), and the copy of its channels cannot \
                 be read"
            )));
        }
    }
    tracing::warn!(
        error = format!("{error:#}"),
        "started without the database: callers are proven by the copy of the channels, reports \
         go to the journal"
    );
    let under_way = Some(migrating).filter(|migrating| !migrating.is_finished());
    Ok(Start::WithoutDatabase(under_way))
}

#[expect(clippy::disallowed_methods, reason = "awaited here or by a worker")]
fn migrate(stores: &Stores, lock_timeout: Duration) -> Migrating {
    let stores = stores.clone();
    tokio::spawn(async move { stores.migrate(lock_timeout).await })
}

/// The inner error is one that the copy helps against.
async fn reach(
    migrating: &mut Migrating,
    directory: &ChannelDirectory,
) -> Result<Result<(), StoreError>> {
    match migrating.await.context("making the tables died")? {
        Ok(()) => Ok(directory.refresh().await.map(drop)),
        Err(error @ (StoreError::Unavailable(_) | StoreError::Locked(_))) => Ok(Err(error)),
        Err(error @ StoreError::Unsupported(_)) => Err(anyhow::Error::new(error)),
        Err(error @ (StoreError::Rejected { .. } | StoreError::Corrupt { .. })) => {
            let error = anyhow::Error::new(error);
            Err(error.context("the database has a schema that is not this program's"))
        }
    }
}

/// A worker that brings the schema up to date once the database is there.
pub fn migrate_later(stores: &Stores, under_way: Option<Migrating>) -> Worker {
    let stores = stores.clone();
    let under_way = Arc::new(Mutex::new(under_way));
    let done = Arc::new(AtomicBool::new(false));
    Worker::new("migrate", Duration::from_secs(1), move || {
        let (stores, done) = (stores.clone(), Arc::clone(&done));
        let under_way = Arc::clone(&under_way);
        async move {
            if !done.load(Ordering::Relaxed) {
                let before = under_way.lock().await.take();
                before.unwrap_or_else(|| migrate(&stores, HASTY)).await??;
                done.store(true, Ordering::Relaxed);
            }
            Ok(())
        }
    })
}
