//! A journal in files of its own: appended to, synced, read from the front.
//!
//! A folder of segments, `journal-00000000000000000001.log` and so on. Entries
//! go to the end of the last one; a segment whose entries were all removed is
//! deleted. How far the front segment was read is known in memory only: after
//! a crash it is read from its beginning, and recording its reports again is
//! harmless.

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

/// How long the disk may take for anything. With the store's deadline before it,
/// an append ends before whoever sent the report gives up.
const PATIENCE: Duration = Duration::from_secs(5);

/// The journal of one receiver, in a folder that no other process uses.
#[derive(Clone)]
pub struct FileJournal {
    segments: Arc<tokio::sync::Mutex<Segments>>,
    /// As it was after the last step: whoever asks does not wait for the disk.
    usage: Arc<Mutex<JournalUsage>>,
    patience: Duration,
}

/// The journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process uses it.
    #[error("another process uses the journal; give each receiver a data folder of its own")]
    InUse,
    /// The folder cannot be used.
    #[error("the journal's folder cannot be used")]
    Folder(#[from] io::Error),
}

impl FileJournal {
    /// Opens the journal in a folder, made if it is not there. What is damaged
    /// in it is set aside and never keeps it from opening. It takes at most
    /// `capacity` bytes.
    pub fn open(folder: &Path, capacity: u64) -> Result<Self, OpenError> {
        let segments = Segments::open(folder, capacity)?;
        Ok(Self {
            usage: Arc::new(Mutex::new(segments.usage())),
            segments: Arc::new(tokio::sync::Mutex::new(segments)),
            patience: PATIENCE,
        })
    }

    /// Works on the segments where waiting for a disk keeps nobody else waiting.
    /// What takes too long is done all the same, later, and nobody hears of it.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Segments) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let step = async {
            let mut segments = self.turn().await?;
            let shown = Arc::clone(&self.usage);
            let work = move || {
                let done = work(&mut segments);
                let mut shown = lock(&shown);
                *shown = JournalUsage {
                    refusing: shown.refusing,
                    ..segments.usage()
                };
                done
            };
            let done = tokio::task::spawn_blocking(work).await;
            done.map_err(failed)?
        };
        let step = tokio::time::timeout(self.patience, step).await;
        step.unwrap_or(Err(JournalError::TooSlow))
    }

    /// The segments, when those before have done with them. Nobody waits behind a
    /// step that the disk does not end.
    async fn turn(&self) -> Result<OwnedMutexGuard<Segments>, JournalError> {
        let segments = Arc::clone(&self.segments);
        let refusing = self.usage().refusing;
        if refusing.is_some_and(|refusing| refusing.why == Refusal::TooSlow) {
            segments.try_lock_owned().map_err(|_| JournalError::TooSlow)
        } else {
            Ok(segments.lock_owned().await)
        }
    }

    /// Notes whether the journal takes anything.
    fn note(&self, outcome: &Result<(), JournalError>) {
        let mut shown = lock(&self.usage);
        let before = shown.refusing;
        shown.refusing = outcome.as_ref().err().map(|error| Refusing {
            why: error.refusal(),
            since: before.map_or_else(Instant::now, |before| before.since),
        });
    }
}

#[async_trait]
impl Journal for FileJournal {
    async fn append(&self, entries: &[JournalEntry]) -> Result<(), JournalError> {
        let mut buffer = Vec::with_capacity(entries.len().saturating_mul(640));
        for entry in entries {
            let payload = entry::encode(entry).map_err(failed)?;
            if !record::write(&mut buffer, &payload) {
                return Err(failed(io::Error::other(
                    "an entry is too long for the journal",
                )));
            }
        }
        let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        let outcome = self
            .with(move |segments| match count {
                0 => segments.probe(),
                _ => segments.append(&buffer, count),
            })
            .await;
        self.note(&outcome);
        outcome
    }

    async fn oldest(&self, max: usize) -> Result<(Vec<JournalEntry>, JournalMark), JournalError> {
        self.with(move |segments| segments.oldest(max)).await
    }

    async fn remove(&self, mark: JournalMark) -> Result<(), JournalError> {
        self.with(move |segments| segments.remove(mark)).await
    }

    fn usage(&self) -> JournalUsage {
        *lock(&self.usage)
    }
}

/// Held for an instant only, never while the disk works.
fn lock(usage: &Mutex<JournalUsage>) -> MutexGuard<'_, JournalUsage> {
    usage.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(error: impl Into<ports::error::Source>) -> JournalError {
    JournalError::Failed(error.into())
}

#[cfg(test)]
mod tests;
