//! A journal in memory, full or failing when a test says so.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use ports::ReportJournal;
use ports::journal::{JournalEntry, JournalError, JournalMark, JournalUsage};

/// A journal that keeps every promise of the port but durability.
#[derive(Debug, Default)]
pub struct MemoryJournal(Mutex<Data>);

#[derive(Debug, Default)]
struct Data {
    entries: Vec<JournalEntry>,
    removed: u64,
    full: bool,
}

impl MemoryJournal {
    /// From now on it has as much as it may have, or no longer.
    pub fn set_full(&self, full: bool) {
        self.lock().full = full;
    }

    /// What waits in it.
    #[must_use]
    pub fn entries(&self) -> Vec<JournalEntry> {
        self.lock().entries.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Data> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ReportJournal for MemoryJournal {
    async fn append(&self, entries: &[JournalEntry]) -> Result<(), JournalError> {
        let mut data = self.lock();
        if data.full {
            return Err(JournalError::Full);
        }
        data.entries.extend_from_slice(entries);
        Ok(())
    }

    async fn oldest(&self, max: usize) -> Result<(Vec<JournalEntry>, JournalMark), JournalError> {
        let data = self.lock();
        let entries: Vec<_> = data.entries.iter().take(max).cloned().collect();
        let offset = data.removed + entries.len() as u64;
        Ok((entries, JournalMark { segment: 0, offset }))
    }

    async fn remove(&self, mark: JournalMark) -> Result<(), JournalError> {
        let mut data = self.lock();
        while data.removed < mark.offset && !data.entries.is_empty() {
            data.entries.remove(0);
            data.removed += 1;
        }
        Ok(())
    }

    fn usage(&self) -> JournalUsage {
        let data = self.lock();
        let entries = data.entries.len() as u64;
        let capacity = if data.full { entries } else { u64::MAX };
        JournalUsage {
            entries,
            bytes: entries,
            capacity,
            set_aside: 0,
        }
    }
}
