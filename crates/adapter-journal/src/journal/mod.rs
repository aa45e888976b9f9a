//! A write-ahead journal in local files: entries are appended and synced, and read from the
//! front.
//!
//! The folder contains segments: `journal-00000000000000000001.log` and so on. Entries are
//! appended to the last segment; a segment is deleted once all its entries were removed. The
//! read position within the first segment exists in memory only: after a crash that segment is
//! read again, which is harmless because recording a report twice is.

mod entry;
mod reading;
mod record;
mod recovery;
mod salvage;
mod segments;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ports::Journal;
use ports::journal::{JournalEntry, JournalError, JournalMark, JournalUsage, Refusal, Refusing};
use tokio::sync::OwnedMutexGuard;

use segments::Segments;

/// The timeout of each disk operation. The store's deadline plus this one must stay below the
/// 15 seconds after which Twilio gives up on a request.
const DISK_TIMEOUT: Duration = Duration::from_secs(5);

/// The journal of one receiver, in a folder that no other process uses.
#[derive(Clone)]
pub struct FileJournal {
    segments: Arc<tokio::sync::Mutex<Segments>>,
    /// As of the last operation, so that reading it never waits for the disk.
    usage: Arc<Mutex<JournalUsage>>,
    timeout: Duration,
}

/// Why the journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has locked the folder.
    #[error("another process uses the journal; give each receiver a data folder of its own")]
    InUse,
    /// The folder could not be created, read or locked.
    #[error("the journal's folder cannot be used")]
    Folder(#[from] io::Error),
}

impl FileJournal {
    /// Opens the journal in `folder`, which is created if missing. Damaged segments are set
    /// aside and never prevent opening. The journal holds at most `capacity` bytes.
    pub fn open(folder: &Path, capacity: u64) -> Result<Self, OpenError> {
        let segments = Segments::open(folder, capacity)?;
        Ok(Self {
            usage: Arc::new(Mutex::new(segments.usage())),
            segments: Arc::new(tokio::sync::Mutex::new(segments)),
            timeout: DISK_TIMEOUT,
        })
    }

    /// Runs `work` on a blocking thread and returns its result, or `TooSlow` after the timeout.
    /// Work that timed out still completes in the background; its result is discarded.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Segments) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let step = async {
            let mut segments = self.lock_segments().await?;
            let usage = Arc::clone(&self.usage);
            let work = move || {
                let done = work(&mut segments);
                let mut usage = lock(&usage);
                *usage = JournalUsage {
                    refusing: usage.refusing,
                    ..segments.usage()
                };
                done
            };
            let done = tokio::task::spawn_blocking(work).await;
            done.map_err(failed)?
        };
        let step = tokio::time::timeout(self.timeout, step).await;
        step.unwrap_or(Err(JournalError::TooSlow))
    }

    /// Locks the segments. While an operation is stuck in the disk, fails at once instead of
    /// queueing after it.
    async fn lock_segments(&self) -> Result<OwnedMutexGuard<Segments>, JournalError> {
        let segments = Arc::clone(&self.segments);
        let refusing = self.usage().refusing;
        if refusing.is_some_and(|refusing| refusing.why == Refusal::TooSlow) {
            segments.try_lock_owned().map_err(|_| JournalError::TooSlow)
        } else {
            Ok(segments.lock_owned().await)
        }
    }

    /// Records in `usage` whether appends succeed.
    fn record_outcome(&self, outcome: &Result<(), JournalError>) {
        let mut usage = lock(&self.usage);
        let before = usage.refusing;
        usage.refusing = outcome.as_ref().err().map(|error| Refusing {
            why: error.refusal(),
            since: before.map_or_else(Instant::now, |before| before.since),
        });
    }
}

#[async_trait]
impl Journal for FileJournal {
    async fn append(&self, entries: &[JournalEntry]) -> Result<Vec<usize>, JournalError> {
        let mut buffer = Vec::with_capacity(entries.len().saturating_mul(640));
        let mut too_long = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let payload = entry::encode(entry).map_err(failed)?;
            if !record::write(&mut buffer, &payload) {
                too_long.push(index);
            }
        }
        let count = u64::try_from(entries.len() - too_long.len()).unwrap_or(u64::MAX);
        let outcome = self
            .run(move |segments| match count {
                0 => segments.probe(),
                _ => segments.append(&buffer, count),
            })
            .await;
        self.record_outcome(&outcome);
        outcome.map(|()| too_long)
    }

    async fn oldest(&self, max: usize) -> Result<(Vec<JournalEntry>, JournalMark), JournalError> {
        self.run(move |segments| segments.oldest(max)).await
    }

    async fn remove(&self, mark: JournalMark) -> Result<(), JournalError> {
        self.run(move |segments| segments.remove(mark)).await
    }

    fn usage(&self) -> JournalUsage {
        *lock(&self.usage)
    }
}

/// Locks the usage; it is never locked during a disk operation.
fn lock(usage: &Mutex<JournalUsage>) -> MutexGuard<'_, JournalUsage> {
    usage.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(error: impl Into<ports::error::Source>) -> JournalError {
    JournalError::Failed(error.into())
}

#[cfg(test)]
mod tests;
