//! What a server needs while its store is unavailable: the journal, a snapshot of the channels,
//! and the task that replays the journal.
//!
//! On SQLite the journal and the store share a disk, so the journal does not help when the disk
//! is full. It helps while another process holds the write lock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use adapter_http::MetricsRegistry;
use adapter_journal::{ChannelSnapshotFile, FileJournal};
use anyhow::{Context as _, Result};
use ports::{Journal, Metrics};
use usecases::ingest::group_commit::GroupCommitWriters;
use usecases::trouble::NoteJournalUse;
use usecases::{ChannelDirectory, CheckHealth, ReplayJournal, StoreCircuitBreaker};

use crate::background::BackgroundTask;
use crate::composition::Stores;
use crate::config::Settings;
use crate::system::{self, System};

/// How long one background step replays the journal, so that it can be stopped in between.
const MAX_REPLAY_STEP: Duration = Duration::from_secs(1);

/// How often the use of the journal is looked at.
const NOTE_INTERVAL: Duration = Duration::from_secs(2);

/// The parts that degraded mode consists of.
pub struct DegradedMode {
    journal: Arc<dyn Journal>,
    snapshot: ChannelSnapshotFile,
    circuit_breaker: Arc<StoreCircuitBreaker>,
}

impl DegradedMode {
    /// Opens the journal in the data folder.
    pub fn prepare(settings: &Settings) -> Result<Self> {
        let folder = settings.storage.create_data_dir()?.join("journal");
        let journal = FileJournal::open(&folder, settings.ingest.journal_capacity())
            .with_context(|| format!("the journal in {} cannot be used", folder.display()))?;
        let snapshot = ChannelSnapshotFile::new(&folder.join("channels.json"));
        Ok(Self {
            journal: Arc::new(journal),
            snapshot,
            circuit_breaker: Arc::default(),
        })
    }

    /// Makes a directory save a snapshot of the channels.
    pub fn save_snapshots(&self, directory: ChannelDirectory) -> ChannelDirectory {
        directory.with_snapshot(Arc::new(self.snapshot.clone()))
    }

    /// Opens the circuit breaker: reports go to the journal from the first one on, without
    /// waiting for the commit deadline.
    pub fn enter(&self) {
        self.circuit_breaker.trip();
    }

    /// Makes writers spill to the journal what the store does not record.
    pub fn spill(&self, writers: GroupCommitWriters) -> GroupCommitWriters {
        writers.with_journal(Arc::clone(&self.journal), Arc::clone(&self.circuit_breaker))
    }

    /// Adds the journal to a health check.
    pub fn check(&self, check: CheckHealth) -> CheckHealth {
        check.with_journal(Arc::clone(&self.journal), Arc::clone(&self.circuit_breaker))
    }

    /// Adds the journal to the metrics.
    pub fn watch(&self, metrics: &MetricsRegistry) {
        metrics.observe_journal(Arc::clone(&self.journal));
    }

    /// Returns the task that moves reports from the journal to the store, `batch` at a time.
    pub fn replay_task(
        &self,
        stores: &Stores,
        observer: Arc<dyn Metrics>,
        batch: usize,
    ) -> BackgroundTask {
        let replay = Arc::new(ReplayJournal::new(
            Arc::clone(&self.journal),
            stores.store(),
            stores.store(),
            Arc::clone(&self.circuit_breaker),
            observer,
            batch,
        ));
        BackgroundTask::new("replay journal", Duration::from_millis(200), move || {
            let replay = Arc::clone(&replay);
            async move { replay_for_a_while(&replay).await }
        })
    }

    /// Returns the task that says in the store when the journal is in use.
    pub fn note_use_task(&self, stores: &Stores) -> BackgroundTask {
        let note = Arc::new(NoteJournalUse::new(
            stores.store(),
            Arc::clone(&self.journal),
            Arc::new(System),
            system::worker_name(),
        ));
        BackgroundTask::new("note use of journal", NOTE_INTERVAL, move || {
            let note = Arc::clone(&note);
            async move { Ok(note.run().await?) }
        })
    }
}

/// Replays the journal, pausing after each batch as long as the batch took: half of the store's
/// capacity remains for live traffic.
async fn replay_for_a_while(replay: &ReplayJournal) -> Result<()> {
    let began = Instant::now();
    loop {
        let batch = Instant::now();
        if !replay.run().await?.more || began.elapsed() > MAX_REPLAY_STEP {
            return Ok(());
        }
        tokio::time::sleep(batch.elapsed()).await;
    }
}
