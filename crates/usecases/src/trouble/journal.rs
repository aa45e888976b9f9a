//! Records in the store that the journal of this process is in use, for the process that evaluates
//! the rules.

use std::sync::{Arc, Mutex, PoisonError};

use domain::Timestamp;
use domain::trouble::rules::JournalUse;
use ports::{Environment, Journal, StoreError, TroubleStore};

/// Says in the store when the journal of this process is in use, for the process that evaluates the
/// rules. While the store is unavailable it cannot; what happened meanwhile is said afterwards.
pub struct NoteJournalUse {
    store: Arc<dyn TroubleStore>,
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Environment>,
    receiver: String,
    seen: Mutex<Option<Seen>>,
}

/// The use of the journal that the store does not know the end of.
#[derive(Clone, Copy, Debug)]
struct Seen {
    since: Timestamp,
    last: Timestamp,
    entries: u64,
}

impl NoteJournalUse {
    /// Creates the use case of the process with this name.
    #[must_use]
    pub fn new(
        store: Arc<dyn TroubleStore>,
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Environment>,
        receiver: String,
    ) -> Self {
        Self {
            store,
            journal,
            clock,
            receiver,
            seen: Mutex::default(),
        }
    }

    /// Looks at the journal and tells the store, if it is or was in use.
    pub async fn run(&self) -> Result<(), StoreError> {
        let (now, entries) = (self.clock.now(), self.journal.usage().entries);
        let seen = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *seen {
                Some(seen) => {
                    seen.entries = entries;
                    if entries > 0 {
                        seen.last = now;
                    }
                }
                None if entries > 0 => {
                    *seen = Some(Seen {
                        since: now,
                        last: now,
                        entries,
                    });
                }
                None => {}
            }
            *seen
        };
        let Some(seen) = seen else {
            return Ok(());
        };
        let used = JournalUse {
            receiver: self.receiver.clone(),
            entries: seen.entries,
            since: seen.since,
            last_used_at: seen.last,
        };
        self.store.note_journal(&used).await?;
        if seen.entries == 0 {
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        Ok(())
    }
}
