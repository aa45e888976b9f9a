//! A store in memory that keeps every promise of the store ports but
//! durability, and fails when a test tells it to.

mod channels;
mod erasures;
mod journal;
mod log;
mod maintenance;
mod message_retention;
mod rejections;
mod reports;
mod subscriptions;

pub use journal::MemoryJournal;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{ErasureId, LogPosition, MessageSid};
use ports::StoreError;
use ports::maintenance::RetentionRun;
use tokio::sync::watch;

use erasures::ErasureProgress;

/// All store ports, in memory. Clones share the data.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    data: Arc<Mutex<Data>>,
    paused: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Data {
    reports: reports::Reports,
    channels: channels::Channels,
    cursors: BTreeMap<String, LogPosition>,
    erasures: BTreeMap<ErasureId, ErasureProgress>,
    rejections: rejections::Rejections,
    sweeps: message_retention::Sweeps,
    runs: BTreeMap<&'static str, RetentionRun>,
    subscriptions: subscriptions::Subscriptions,
    unavailable: bool,
    durability_warning: Option<String>,
    log_locked: bool,
    log_reads: usize,
    refused: HashSet<MessageSid>,
    locked: HashSet<MessageSid>,
    record_calls: usize,
    keep_rejection_calls: usize,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self {
            data: Arc::default(),
            paused: watch::Sender::new(false),
        }
    }

    /// From now on every method fails with [`StoreError::Unavailable`], or no
    /// longer.
    pub fn set_unavailable(&self, unavailable: bool) {
        self.lock().unavailable = unavailable;
    }

    /// From now on there is something about it that may undo what is durable.
    pub fn set_risk(&self, risk: &str) {
        self.lock().durability_warning = Some(risk.to_owned());
    }

    /// From now on `record` waits, or goes on: for tests of what happens while
    /// a batch is under way, or takes too long.
    pub fn set_paused(&self, paused: bool) {
        self.paused.send_replace(paused);
    }

    /// From now on batches with a report of this message id are refused, as if
    /// the engine did not like them.
    ///
    /// # Panics
    ///
    /// If it is no message id.
    pub fn refuse(&self, sid: &str) {
        let sid = MessageSid::parse(sid).expect("a message id");
        self.lock().refused.insert(sid);
    }

    /// From now on it refuses no report because of its message id.
    pub fn refuse_none(&self) {
        self.lock().refused.clear();
    }

    /// From now on another session holds the row of this message, or no longer.
    ///
    /// # Panics
    ///
    /// If it is no message id.
    pub fn set_locked(&self, sid: &str, locked: bool) {
        let sid = MessageSid::parse(sid).expect("a message id");
        let mut data = self.lock();
        if locked {
            data.locked.insert(sid);
        } else {
            data.locked.remove(&sid);
        }
    }

    /// From now on another session holds the log, so that no report can be removed, or no longer.
    pub fn set_log_locked(&self, locked: bool) {
        self.lock().log_locked = locked;
    }

    /// Returns how often the log was read.
    #[must_use]
    pub fn log_reads(&self) -> usize {
        self.lock().log_reads
    }

    /// How often `record` was called, failed calls included.
    #[must_use]
    pub fn record_calls(&self) -> usize {
        self.lock().record_calls
    }

    /// How often rejections were kept, one or several at a time.
    #[must_use]
    pub fn keep_rejection_calls(&self) -> usize {
        self.lock().keep_rejection_calls
    }

    /// How many reports are in the log, of all messages.
    #[must_use]
    pub fn logged_reports(&self) -> usize {
        self.lock().reports.log.len()
    }

    fn lock(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The data, unless a test made the store unavailable.
    fn open(&self) -> Result<MutexGuard<'_, Data>, StoreError> {
        let data = self.lock();
        if data.unavailable {
            return Err(StoreError::Unavailable("a test made it so".into()));
        }
        Ok(data)
    }

    /// Waits while a test holds `record` up.
    async fn until_resumed(&self) {
        let mut paused = self.paused.subscribe();
        // It cannot fail: this store holds the sender.
        let _ = paused.wait_for(|paused| !paused).await;
    }
}
