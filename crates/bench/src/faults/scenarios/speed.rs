//! How fast the journal is.

use std::time::Instant;

use anyhow::Result;

use super::{DEADLINE, pause, settle};
use crate::Stage;
use crate::finding::Finding;
use crate::home::RuntimeHandle;
use crate::load::Load;
use crate::store::Store;

/// As many reports as 64 connections can send go to the journal, and from
/// there, with no other traffic, into the database.
pub fn speed(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = RuntimeHandle::new(stage, &store.url())?;
    home.add_channel()?;
    let receiver = home.start()?;
    store.postgres()?.stop()?;
    let load = Load::flood(home.public(), 64).start();
    // Until the receiver knows that the database is away.
    pause(6.0);
    let began = load.elapsed();
    pause(5.0);
    let ended = load.elapsed();
    let ledger = load.stop()?;
    let taken = ledger.rate(began, ended);
    store.postgres()?.start_again()?;
    let waiting = receiver.metric("receiptd_journaled_reports_total")?;
    let began = Instant::now();
    receiver.wait_until_drained()?;
    let drained = waiting / began.elapsed().as_secs_f64().max(0.001);
    let mut finding = settle(&store, receiver, &ledger)?;
    finding.note(format!(
        "{taken:.0} a second into the journal, {drained:.0} a second out of it"
    ));
    finding.expect_all_taken_within(DEADLINE);
    Ok(finding)
}
