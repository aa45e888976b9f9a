//! What a receiver needs to go on while its store cannot record: a journal for the
//! reports, a copy of the channels, and the worker that catches up.
//!
//! On SQLite the journal and the store share a disk, so the journal does not help
//! against a full disk. It helps while another process holds the write lock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use adapter_files::{ChannelSnapshotFile, FileJournal};
use adapter_http::MetricsRegistry;
use anyhow::{Context as _, Result};
use ports::{Journal, Metrics};
use usecases::ingest::group_commit::GroupCommitWriters;
use usecases::{ChannelDirectory, CheckHealth, ReplayJournal, StoreCircuitBreaker};

use crate::composition::Stores;
use crate::config::Settings;
use crate::workers::Worker;

/// How long the worker drains before it looks whether it should stop.
const SHIFT: Duration = Duration::from_secs(1);

/// Everything for the time the store is away.
pub struct DegradedMode {
    journal: Arc<dyn Journal>,
    copy: ChannelSnapshotFile,
    gate: Arc<StoreCircuitBreaker>,
}

impl DegradedMode {
    /// Opens the journal in the data folder.
    pub fn prepare(settings: &Settings) -> Result<Self> {
        let folder = settings.make_data_dir()?.join("journal");
        let journal = FileJournal::open(&folder, settings.journal_capacity())
            .with_context(|| format!("the journal in {} cannot be used", folder.display()))?;
        let copy = ChannelSnapshotFile::new(&folder.join("channels.json"));
        Ok(Self {
            journal: Arc::new(journal),
            copy,
            gate: Arc::default(),
        })
    }

    /// Has a directory keep a copy of the channels.
    pub fn keep_copy(&self, directory: ChannelDirectory) -> ChannelDirectory {
        directory.with_snapshot(Arc::new(self.copy.clone()))
    }

    /// The store could not be reached: reports go to the journal from the first
    /// one on, without waiting for a deadline.
    pub fn begin(&self) {
        self.gate.trip();
    }

    /// Has writers keep in the journal what the store does not take.
    pub fn keep_reports(&self, writers: GroupCommitWriters) -> GroupCommitWriters {
        writers.with_journal(Arc::clone(&self.journal), Arc::clone(&self.gate))
    }

    /// Has a check look at the journal too.
    pub fn check(&self, check: CheckHealth) -> CheckHealth {
        check.with_journal(Arc::clone(&self.journal), Arc::clone(&self.gate))
    }

    /// Has metrics show how much is in the journal.
    pub fn watch(&self, metrics: &MetricsRegistry) {
        metrics.observe_journal(Arc::clone(&self.journal));
    }

    /// The worker that moves the journal into the store.
    pub fn worker(&self, stores: &Stores, observer: Arc<dyn Metrics>, step: usize) -> Worker {
        let drain = Arc::new(ReplayJournal::new(
            Arc::clone(&self.journal),
            stores.store(),
            stores.store(),
            Arc::clone(&self.gate),
            observer,
            step,
        ));
        Worker::new("drain", Duration::from_millis(200), move || {
            let drain = Arc::clone(&drain);
            async move { catch_up(&drain).await }
        })
    }
}

/// Drains for one shift, resting as long as each step took: half of what the
/// store can do stays for live traffic.
async fn catch_up(drain: &ReplayJournal) -> Result<()> {
    let began = Instant::now();
    loop {
        let step = Instant::now();
        if !drain.run().await?.more || began.elapsed() > SHIFT {
            return Ok(());
        }
        tokio::time::sleep(step.elapsed()).await;
    }
}
