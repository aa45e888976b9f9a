//! The receiver is asked to stop.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::clients::slow_clients;
use super::{STOP, pause, settle};
use crate::Stage;
use crate::finding::Finding;
use crate::home::RuntimeHandle;
use crate::ledger::Ledger;
use crate::load::{Load, Running};
use crate::proxy::{Manner, Proxy};
use crate::receiver::Receiver;
use crate::store::{Postgres, Store};

/// Under load, everything being well.
pub fn under_load(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = RuntimeHandle::new(stage, &store.url())?;
    home.add_channel()?;
    let receiver = home.start()?;
    let load = Load::on(home.public()).start();
    pause(2.0);
    let (ledger, stopped) = stop(receiver, load)?;
    let receiver = home.start()?;
    let mut finding = settle(&store, receiver, &ledger)?;
    stopped.judge(&mut finding);
    Ok(finding)
}

/// Under load, while the database is away.
pub fn in_outage(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = RuntimeHandle::new(stage, &store.url())?;
    home.add_channel()?;
    let receiver = home.start()?;
    let load = Load::on(home.public()).start();
    pause(1.0);
    store.postgres()?.stop()?;
    pause(7.0);
    let (ledger, stopped) = stop(receiver, load)?;
    store.postgres()?.start_again()?;
    let receiver = home.start()?;
    let mut finding = settle(&store, receiver, &ledger)?;
    stopped.judge(&mut finding);
    Ok(finding)
}

/// Under load, while the database says nothing at all.
pub fn in_silence(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let proxy = Proxy::start(store.postgres()?.address())?;
    let home = RuntimeHandle::new(stage, &Postgres::url_through(proxy.address()))?;
    home.add_channel()?;
    let receiver = home.start()?;
    let load = Load::on(home.public()).start();
    pause(1.0);
    proxy.set(Manner::Silent);
    pause(8.0);
    let (ledger, stopped) = stop(receiver, load)?;
    proxy.set(Manner::Pass);
    let receiver = home.start()?;
    let mut finding = settle(&store, receiver, &ledger)?;
    stopped.judge(&mut finding);
    Ok(finding)
}

/// Under load, while somebody holds the lock on a table.
pub fn in_locks(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = RuntimeHandle::new(stage, &store.url())?;
    home.add_channel()?;
    let receiver = home.start()?;
    let load = Load::on(home.public()).start();
    pause(1.0);
    let lock = store.postgres()?.lock_messages()?;
    pause(2.0);
    let (ledger, stopped) = stop(receiver, load)?;
    drop(lock);
    let receiver = home.start()?;
    let mut finding = settle(&store, receiver, &ledger)?;
    stopped.judge(&mut finding);
    Ok(finding)
}

/// The same as in silence, and there are clients that never finish what they send.
pub fn beside_slow_clients(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let proxy = Proxy::start(store.postgres()?.address())?;
    let home = RuntimeHandle::new(stage, &Postgres::url_through(proxy.address()))?;
    home.add_channel()?;
    let receiver = home.start()?;
    let load = Load::on(home.public()).start();
    pause(1.0);
    proxy.set(Manner::Silent);
    let address = home.public();
    let slow = thread::spawn(move || slow_clients(address, 64));
    pause(2.0);
    let (ledger, stopped) = stop(receiver, load)?;
    let slow = slow.join().ok().context("the slow clients died")??;
    proxy.set(Manner::Pass);
    let receiver = home.start()?;
    let mut finding = settle(&store, receiver, &ledger)?;
    stopped.judge(&mut finding);
    finding.expect(slow.closed == 64, "slow clients were not closed");
    Ok(finding)
}

/// How a receiver stopped.
struct Stopped {
    took: Duration,
    well: bool,
}

/// Asks a receiver to stop; the load goes on until it has.
fn stop(receiver: Receiver<'_>, load: Running) -> Result<(Ledger, Stopped)> {
    let (took, status) = receiver.terminate()?;
    let ledger = load.stop()?;
    let well = status.success();
    Ok((ledger, Stopped { took, well }))
}

impl Stopped {
    fn judge(&self, finding: &mut Finding) {
        let took = self.took;
        finding.note(format!("stopped in {took:.1?}"));
        let cut_off = finding.cut_off;
        finding.expect(cut_off == 0, format!("{cut_off} were stored, not answered"));
        // Also of those that were sent while it was stopping: there was still somebody to answer.
        let unanswered = finding.unanswered;
        finding.expect(unanswered == 0, format!("{unanswered} were not answered"));
        finding.expect_in_time(took < STOP, "that is too long");
        finding.expect(self.well, "it did not end with status 0");
        finding.expect(finding.refused == 0, "requests were refused");
    }
}
