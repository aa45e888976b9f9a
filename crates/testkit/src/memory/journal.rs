//! An in-memory journal that fails when a test sets it to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use ports::Journal;
use ports::journal::{JournalEntry, JournalError, JournalMark, JournalUsage, Refusal, Refusing};

/// A journal that passes the contract suite. Clones share the entries.
#[derive(Clone, Debug)]
pub struct MemoryJournal {
    data: Arc<Mutex<Data>>,
    capacity: u64,
}

/// The assumed size of an entry.
const ENTRY: u64 = 600;

#[derive(Debug, Default)]
struct Data {
    entries: Vec<JournalEntry>,
    removed: u64,
    full: bool,
    /// How many entries it refused, and since when.
    refused: Option<(usize, Instant)>,
}

impl Default for MemoryJournal {
    fn default() -> Self {
        Self {
            data: Arc::default(),
            capacity: u64::MAX,
        }
    }
}

impl MemoryJournal {
    /// Sets the capacity in bytes.
    #[must_use]
    pub fn with_capacity(&self, capacity: u64) -> Self {
        Self {
            data: Arc::clone(&self.data),
            capacity,
        }
    }

    /// Sets whether it is full.
    pub fn set_full(&self, full: bool) {
        self.lock().full = full;
    }

    /// Returns the entries.
    #[must_use]
    pub fn entries(&self) -> Vec<JournalEntry> {
        self.lock().entries.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn append(&self, entries: &[JournalEntry]) -> Result<Vec<usize>, JournalError> {
        let mut data = self.lock();
        let asked = match data.refused {
            Some((refused, _)) if entries.is_empty() => refused,
            _ => entries.len().max(1),
        };
        let after = bytes(data.entries.len()).saturating_add(bytes(asked));
        if data.full || after > self.capacity {
            let since = data.refused.map_or_else(Instant::now, |(_, since)| since);
            data.refused = Some((asked, since));
            return Err(JournalError::Full);
        }
        data.refused = None;
        let mut too_long = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            if entry.report.fields.are_too_long() {
                too_long.push(index);
            } else {
                data.entries.push(entry.clone());
            }
        }
        Ok(too_long)
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
        let refusing = |(_, since)| Refusing {
            why: Refusal::Full,
            since,
        };
        JournalUsage {
            entries: data.entries.len() as u64,
            bytes: bytes(data.entries.len()),
            capacity: self.capacity,
            refusing: data.refused.map(refusing),
            ..JournalUsage::default()
        }
    }
}

fn bytes(entries: usize) -> u64 {
    ENTRY.saturating_mul(entries as u64)
}
