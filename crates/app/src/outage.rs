//! What a receiver needs to go on while its store is away: a journal for the
//! reports, a copy of the channels, and the worker that catches up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use adapter_files::{ChannelSnapshotFile, FileJournal};
use adapter_http::Metrics;
use anyhow::{Context as _, Result};
use ports::{Observer, ReportJournal};
use usecases::intake::IntakeWriters;
use usecases::{ChannelDirectory, CheckHealth, DrainJournal, StoreGate};

use crate::config::Settings;
use crate::wiring::Stores;
use crate::workers::Worker;

/// How long the worker drains before it looks whether it should stop.
const SHIFT: Duration = Duration::from_secs(1);

/// Everything for the time the store is away; nothing where store and journal
/// would share a disk.
pub struct Outage(Option<Parts>);

struct Parts {
    journal: Arc<dyn ReportJournal>,
    copy: ChannelSnapshotFile,
    gate: Arc<StoreGate>,
}

impl Outage {
    /// Opens the journal in the data folder, if the store can be away.
    pub fn prepare(settings: &Settings, stores: &Stores) -> Result<Self> {
        if !stores.is_remote() {
            return Ok(Self(None));
        }
        let folder = settings.make_data_dir()?.join("journal");
        let journal = FileJournal::open(&folder, settings.journal_capacity())
            .with_context(|| format!("the journal in {} cannot be used", folder.display()))?;
        let copy = ChannelSnapshotFile::new(&folder.join("channels.json"));
        Ok(Self(Some(Parts {
            journal: Arc::new(journal),
            copy,
            gate: Arc::default(),
        })))
    }

    /// Has a directory keep a copy of the channels.
    pub fn keep_copy(&self, directory: ChannelDirectory) -> ChannelDirectory {
        match &self.0 {
            Some(parts) => directory.with_copy(Arc::new(parts.copy.clone())),
            None => directory,
        }
    }

    /// The store could not be reached: reports go to the journal from the first
    /// one on, without waiting for a deadline.
    pub fn begin(&self) {
        if let Some(parts) = &self.0 {
            parts.gate.failed();
        }
    }

    /// Has writers keep in the journal what the store does not take.
    pub fn keep_reports(&self, writers: IntakeWriters) -> IntakeWriters {
        match &self.0 {
            Some(parts) => {
                writers.with_journal(Arc::clone(&parts.journal), Arc::clone(&parts.gate))
            }
            None => writers,
        }
    }

    /// Has a check look at the journal too.
    pub fn check(&self, check: CheckHealth) -> CheckHealth {
        match &self.0 {
            Some(parts) => check.with_journal(Arc::clone(&parts.journal), Arc::clone(&parts.gate)),
            None => check,
        }
    }

    /// Has metrics show how much is in the journal.
    pub fn watch(&self, metrics: &Metrics) {
        if let Some(parts) = &self.0 {
            metrics.watch(Arc::clone(&parts.journal));
        }
    }

    /// The worker that moves the journal into the store.
    pub fn worker(
        &self,
        stores: &Stores,
        observer: Arc<dyn Observer>,
        step: usize,
    ) -> Option<Worker> {
        let parts = self.0.as_ref()?;
        let drain = Arc::new(DrainJournal::new(
            Arc::clone(&parts.journal),
            Arc::clone(&stores.reports),
            Arc::clone(&stores.rejections),
            Arc::clone(&parts.gate),
            observer,
            step,
        ));
        Some(Worker::new(
            "drain",
            Duration::from_millis(200),
            move || {
                let drain = Arc::clone(&drain);
                async move { catch_up(&drain).await }
            },
        ))
    }
}

/// Drains for one shift, resting as long as each step took: half of what the
/// store can do stays for live traffic.
async fn catch_up(drain: &DrainJournal) -> Result<()> {
    let began = Instant::now();
    loop {
        let step = Instant::now();
        if !drain.run().await?.more || began.elapsed() > SHIFT {
            return Ok(());
        }
        tokio::time::sleep(step.elapsed()).await;
    }
}
