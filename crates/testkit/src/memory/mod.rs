//! An in-memory store that passes every contract suite, and fails when a test sets it to.

mod access;
mod callback_alerts;
mod channels;
mod erasures;
mod forwarding;
mod journal;
mod log;
mod maintenance;
mod message_retention;
mod reconciliations;
mod rejections;
mod reports;
mod saved_views;
mod statistics;
mod subscriptions;
mod troubles;

pub use journal::MemoryJournal;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{ErasureId, LogPosition, MessageSid, SavedView, SavedViewName};
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
    access: access::Access,
    channels: channels::Channels,
    cursors: BTreeMap<String, LogPosition>,
    erasures: BTreeMap<ErasureId, ErasureProgress>,
    forwarding: forwarding::Forwarding,
    reconciliations: reconciliations::Reconciliations,
    callback_alerts: callback_alerts::CallbackAlerts,
    rejections: rejections::Rejections,
    saved_views: BTreeMap<SavedViewName, SavedView>,
    scans: message_retention::Scans,
    runs: BTreeMap<&'static str, RetentionRun>,
    statistics: statistics::StoredStatistics,
    subscriptions: subscriptions::Subscriptions,
    troubles: troubles::Troubles,
    unavailable: bool,
    durability_warning: Option<String>,
    log_locked: bool,
    log_reads: usize,
    refused: HashSet<MessageSid>,
    locked: HashSet<MessageSid>,
    record_calls: usize,
    store_rejection_calls: usize,
}

impl Data {
    fn finished_erasures(&self) -> i64 {
        let erasures = self.erasures.values();
        let finished = erasures.filter(|it| it.erasure.finished_at.is_some());
        i64::try_from(finished.count()).unwrap_or(i64::MAX)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self {
            data: Arc::default(),
            paused: watch::Sender::new(false),
        }
    }

    /// Sets whether every method fails with [`StoreError::Unavailable`].
    pub fn set_unavailable(&self, unavailable: bool) {
        self.lock().unavailable = unavailable;
    }

    /// Sets the durability warning.
    pub fn set_risk(&self, risk: &str) {
        self.lock().durability_warning = Some(risk.to_owned());
    }

    /// Sets whether `record` waits: for tests of batches in progress and of timeouts.
    pub fn set_paused(&self, paused: bool) {
        self.paused.send_replace(paused);
    }

    /// Refuses batches with a report of this message id.
    ///
    /// # Panics
    ///
    /// If it is not a message id.
    pub fn refuse(&self, sid: &str) {
        let sid = MessageSid::parse(sid).expect("a message id");
        self.lock().refused.insert(sid);
    }

    /// Refuses no message id any more.
    pub fn refuse_none(&self) {
        self.lock().refused.clear();
    }

    /// Sets whether another session holds the row of this message.
    ///
    /// # Panics
    ///
    /// If it is not a message id.
    pub fn set_locked(&self, sid: &str, locked: bool) {
        let sid = MessageSid::parse(sid).expect("a message id");
        let mut data = self.lock();
        if locked {
            data.locked.insert(sid);
        } else {
            data.locked.remove(&sid);
        }
    }

    /// Sets whether another session holds the log, so that no report can be removed.
    pub fn set_log_locked(&self, locked: bool) {
        self.lock().log_locked = locked;
    }

    /// Returns how often the log was read.
    #[must_use]
    pub fn log_reads(&self) -> usize {
        self.lock().log_reads
    }

    /// Returns how often `record` was called, including failures.
    #[must_use]
    pub fn record_calls(&self) -> usize {
        self.lock().record_calls
    }

    /// Returns how often rejections were stored, one or several at a time.
    #[must_use]
    pub fn store_rejection_calls(&self) -> usize {
        self.lock().store_rejection_calls
    }

    /// Returns how many reports are in the log.
    #[must_use]
    pub fn logged_reports(&self) -> usize {
        self.lock().reports.log.len()
    }

    fn lock(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the data, unless a test made the store unavailable.
    fn open(&self) -> Result<MutexGuard<'_, Data>, StoreError> {
        let data = self.lock();
        if data.unavailable {
            return Err(StoreError::Unavailable("a test made it so".into()));
        }
        Ok(data)
    }

    /// Waits while a test pauses `record`.
    async fn until_resumed(&self) {
        let mut paused = self.paused.subscribe();
        // Cannot fail: this store holds the sender.
        let _ = paused.wait_for(|paused| !paused).await;
    }
}
