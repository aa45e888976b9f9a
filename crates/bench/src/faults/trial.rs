//! One run of a scenario: a receiver on a database of its own, and what can go wrong with it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use traffic::integrator::Integrator;

use super::ledger::Ledger;
use super::load::RecordedLoad;
use super::proxy::{Proxy, ProxyMode};
use super::recount;
use super::store::{DatabaseEngine, DurableServer, Lock, ScenarioStore};
use super::verdict::Verdict;
use crate::http;
use crate::installation::Installation;
use crate::receiver::Receiver;

/// How a scenario is run.
#[derive(Debug)]
pub struct TrialOptions {
    pub program: PathBuf,
    pub engine: DatabaseEngine,
    pub quick: bool,
    /// Chooses random moments.
    pub seed: u64,
}

/// Its parts are dropped in this order.
pub struct Trial {
    pub receiver: Receiver,
    lock: Option<Lock>,
    proxy: Option<Proxy>,
    pub store: ScenarioStore,
    pub installation: Arc<Installation>,
}

/// What is wrong with the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseFault {
    /// The server was stopped as by a crash.
    Down,
    /// Every response of the server is 3 s late.
    Late,
    /// Nothing is passed on between receiver and server; what was sent arrives afterwards.
    Silent,
    /// Connections that were open remain silent permanently; new ones work afterwards.
    Abandoned,
    /// Another session holds exclusive locks on these tables.
    Locked(&'static str),
    /// No partition accepts today's reports.
    NoPartition,
    /// Another process holds the write lock of the SQLite database.
    WriteLocked,
}

const DROP_PARTITIONS: &str = "do $$
declare
    partition regclass;
begin
    for partition in
        select inhrelid::regclass from pg_inherits where inhparent = 'reports'::regclass
    loop
        execute format('drop table %s', partition);
    end loop;
end $$";

const CREATE_PARTITION: &str = "create table reports_default partition of reports default";

pub fn pause(seconds: f32) {
    thread::sleep(Duration::from_secs_f32(seconds));
}

impl TrialOptions {
    /// `quick` in a quick run, `full` otherwise.
    pub fn choose<T: Copy>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

impl Trial {
    /// Prepares an empty database with the channel, and a receiver that is not started.
    pub fn prepare(options: &TrialOptions) -> Result<Self> {
        Self::prepare_with(options, &[], false)
    }

    /// The same with settings, and optionally with a proxy before the database.
    pub fn prepare_with(
        options: &TrialOptions,
        settings: &[(&str, &str)],
        through_proxy: bool,
    ) -> Result<Self> {
        let store = ScenarioStore::new(options.engine)?;
        let proxy = if through_proxy {
            Some(Proxy::start(store.server()?.address())?)
        } else {
            None
        };
        let url = match &proxy {
            Some(proxy) => DurableServer::url_through(proxy.address()),
            None => store.url(),
        };
        let installation = install(options, &url)?.with(settings);
        let mut trial = Self::of(store, installation)?;
        trial.proxy = proxy;
        Ok(trial)
    }

    /// Adds the channel to the database of an installation.
    pub fn of(store: ScenarioStore, installation: Installation) -> Result<Self> {
        installation.add_channel()?;
        let installation = Arc::new(installation);
        Ok(Self {
            store,
            receiver: installation.receiver(&["serve"]),
            installation,
            proxy: None,
            lock: None,
        })
    }

    /// Prepares a trial and starts its receiver.
    pub fn start(options: &TrialOptions) -> Result<Self> {
        Self::prepare(options)?.started()
    }

    /// Starts a receiver with these settings, whose channel is one of Infobip's.
    pub fn start_for_infobip(options: &TrialOptions, settings: &[(&str, &str)]) -> Result<Self> {
        let store = ScenarioStore::new(options.engine)?;
        let installation = install(options, &store.url())?.with(settings);
        Self::of(store, installation.of(Integrator::Infobip))?.started()
    }

    /// Starts the receiver and waits until it accepts reports.
    pub fn started(mut self) -> Result<Self> {
        self.receiver.start()?;
        Ok(self)
    }

    pub fn proxy(&self) -> Result<&Proxy> {
        self.proxy.as_ref().context("the trial has no proxy")
    }

    pub fn load(&self) -> RecordedLoad {
        RecordedLoad::on(self.installation.public)
    }

    /// Returns a load of batches of Infobip's.
    pub fn batch_load(&self) -> RecordedLoad {
        RecordedLoad::of_batches(self.installation.public)
    }

    pub fn saturating_load(&self, connections: usize) -> RecordedLoad {
        RecordedLoad::at_saturation(self.installation.public, connections)
    }

    pub fn begin(&mut self, fault: DatabaseFault) -> Result<()> {
        match fault {
            DatabaseFault::Down => self.store.server()?.stop(),
            DatabaseFault::Late => {
                let delay = ProxyMode::Delay(Duration::from_secs(3));
                self.proxy().map(|proxy| proxy.set(delay))
            }
            DatabaseFault::Silent | DatabaseFault::Abandoned => {
                self.proxy().map(|proxy| proxy.set(ProxyMode::Silent))
            }
            DatabaseFault::Locked(tables) => {
                let lock = format!("lock table {tables} in access exclusive mode");
                self.lock = Some(self.store.server()?.lock(&lock)?);
                Ok(())
            }
            DatabaseFault::NoPartition => self.store.server()?.execute(DROP_PARTITIONS),
            DatabaseFault::WriteLocked => {
                self.lock = Some(Lock::on_sqlite(&self.store.url())?);
                Ok(())
            }
        }
    }

    pub fn end(&mut self, fault: DatabaseFault) -> Result<()> {
        match fault {
            DatabaseFault::Down => self.store.server()?.start_again(),
            DatabaseFault::Late | DatabaseFault::Silent => {
                self.proxy().map(|proxy| proxy.set(ProxyMode::Pass))
            }
            DatabaseFault::Abandoned => {
                let proxy = self.proxy()?;
                proxy.abandon_connections();
                proxy.set(ProxyMode::Pass);
                Ok(())
            }
            DatabaseFault::Locked(_) | DatabaseFault::WriteLocked => {
                self.lock = None;
                Ok(())
            }
            DatabaseFault::NoPartition => self.store.server()?.execute(CREATE_PARTITION),
        }
    }

    /// Waits until the receiver has stored everything, stops it, and compares the acknowledged
    /// reports with the stored ones, and the statistics with a recount.
    pub fn settle(&mut self, ledger: &Ledger) -> Result<Verdict> {
        self.receiver.wait_until_drained()?;
        self.receiver.stop()?;
        let mut verdict = Verdict::compare(ledger, &self.store.stored()?);
        let wrong = recount::wrong_rows(self.store.engine(), &self.store.url())?;
        let what = format!("{wrong} rows of the statistics differ from a recount");
        verdict.expect(wrong == 0, what);
        Ok(verdict)
    }
}

impl DatabaseFault {
    pub const fn needs_proxy(self) -> bool {
        matches!(self, Self::Late | Self::Silent | Self::Abandoned)
    }
}

/// Returns an installation whose receiver logs at level `info`.
pub fn install(options: &TrialOptions, url: &str) -> Result<Installation> {
    let installation = Installation::new(&options.program, Some(url))?;
    Ok(installation.with(&[("RECEIPTD_LOG", "info")]))
}

/// Does `work` while more clients read messages than there are connections to the database.
pub fn beside_readers<T>(installation: &Installation, work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let _ = http::get(installation.operator, "/api/v1/messages?limit=1");
                }
            });
        }
        let result = work();
        done.store(true, Ordering::Relaxed);
        result
    })
}
