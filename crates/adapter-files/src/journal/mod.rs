//! A journal in files of its own: appended to, synced, read from the front.
//!
//! A folder of segments, `journal-00000000000000000001.log` and so on. Entries
//! go to the end of the last one; a segment whose entries were all removed is
//! deleted. How far the front segment was read is known in memory only: after
//! a crash it is read from its beginning, and recording its reports again is
//! harmless.

mod entry;

mod record;
mod segments;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use ports::ReportJournal;
use ports::journal::{JournalEntry, JournalError, JournalMark, JournalUsage};

use segments::Segments;

/// The journal of one receiver, in a folder that no other process uses.
#[derive(Clone)]
pub struct FileJournal {
    segments: Arc<Mutex<Segments>>,
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
            segments: Arc::new(Mutex::new(segments)),
        })
    }

    /// Works on the segments where waiting for a disk keeps nobody else waiting.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Segments) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let segments = Arc::clone(&self.segments);
        let work = move || work(&mut segments.lock().unwrap_or_else(PoisonError::into_inner));
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| JournalError::Failed(error.into()))?
    }
}

#[async_trait]
impl ReportJournal for FileJournal {
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
        self.with(move |segments| segments.append(&buffer, count))
            .await
    }

    async fn oldest(&self, max: usize) -> Result<(Vec<JournalEntry>, JournalMark), JournalError> {
        self.with(move |segments| segments.oldest(max)).await
    }

    async fn remove(&self, mark: JournalMark) -> Result<(), JournalError> {
        self.with(move |segments| segments.remove(mark)).await
    }

    fn usage(&self) -> JournalUsage {
        self.segments
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .usage()
    }
}

fn failed(error: impl Into<ports::error::Source>) -> JournalError {
    JournalError::Failed(error.into())
}
