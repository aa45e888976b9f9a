//! The receiver is started again while its database is not well.

use std::time::Duration;

use anyhow::Result;

use super::{DEADLINE, pause, settle};
use crate::Stage;
use crate::finding::Finding;
use crate::home::RuntimeHandle;
use crate::load::{Load, Running};
use crate::proxy::{Manner, Proxy};
use crate::receiver::Receiver;
use crate::store::{Postgres, Store};

/// A few seconds for the database, and a busy machine.
const STARTS: Duration = Duration::from_secs(8);

/// Every answer of the server comes 3 s late.
pub fn late(stage: &Stage) -> Result<Finding> {
    behind_proxy(stage, Manner::Late(Duration::from_secs(3)))
}

/// The server says nothing.
pub fn silence(stage: &Stage) -> Result<Finding> {
    behind_proxy(stage, Manner::Silent)
}

fn behind_proxy(stage: &Stage, manner: Manner) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let proxy = Proxy::start(store.postgres()?.address())?;
    let home = RuntimeHandle::new(stage, &Postgres::url_through(proxy.address()))?;
    home.add_channel()?;
    let (receiver, load) = begin(&home)?;
    proxy.set(manner);
    let (receiver, took) = start_again(&home, receiver, &load)?;
    proxy.set(Manner::Pass);
    judge(&store, receiver, load, took)
}

/// Somebody holds the locks on tables that are read at the start.
pub fn locks(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = RuntimeHandle::new(stage, &store.url())?;
    home.add_channel()?;
    let (receiver, load) = begin(&home)?;
    let lock = store
        .postgres()?
        .lock("reports_default, messages, channels")?;
    let (receiver, took) = start_again(&home, receiver, &load)?;
    drop(lock);
    judge(&store, receiver, load, took)
}

fn begin(home: &RuntimeHandle) -> Result<(Receiver<'_>, Running)> {
    let receiver = home.start()?;
    let load = Load::on(home.public()).start();
    pause(1.0);
    Ok((receiver, load))
}

/// Kills a receiver and starts another one; how long it took until a report was taken, `None` if
/// none was.
fn start_again<'a>(
    home: &'a RuntimeHandle,
    receiver: Receiver<'_>,
    load: &Running,
) -> Result<(Receiver<'a>, Option<Duration>)> {
    receiver.kill()?;
    let killed = load.elapsed();
    let receiver = home.launch()?;
    let taken = load.until_taken(1);
    let took = load.elapsed().saturating_sub(killed);
    pause(2.0);
    Ok((receiver, taken.then_some(took)))
}

fn judge(
    store: &Store,
    receiver: Receiver<'_>,
    load: Running,
    took: Option<Duration>,
) -> Result<Finding> {
    pause(1.0);
    let ledger = load.stop()?;
    let mut finding = settle(store, receiver, &ledger)?;
    match took {
        Some(took) => {
            finding.note(format!("takes reports after {took:.1?}"));
            finding.expect_in_time(took <= STARTS, "that is too long");
        }
        None => finding.expect(false, "it takes nothing"),
    }
    finding.expect(finding.refused == 0, "requests were refused");
    finding.expect_answers_within(DEADLINE);
    Ok(finding)
}
