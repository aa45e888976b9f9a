//! Several receivers on one database.

use anyhow::Result;

use super::{DEADLINE, pause, settle};
use crate::Stage;
use crate::finding::Finding;
use crate::home::RuntimeHandle;
use crate::load::Load;
use crate::store::Store;

/// The reports of every message go to one of two receivers or the other, in any
/// order, and some to both.
pub fn replicas(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let one = RuntimeHandle::new(stage, &store.url())?;
    let other = RuntimeHandle::new(stage, &store.url())?.with("RECEIPTD_WRITERS", "2");
    one.add_channel()?;
    let (first, second) = (one.start()?, other.start()?);
    // Two loads of the same reports: each is sent twice, and spread anew.
    let both = || {
        let mut load = Load::flood(one.public(), 32);
        load.receivers.push(other.public());
        load.reports = if stage.quick { 15_000 } else { 60_000 };
        load
    };
    let (load, same) = (both().start(), both().start());
    pause(0.5);
    let mut ledger = load.finish()?;
    ledger.add(same.finish()?);
    second.wait_until_drained()?;
    second.stop()?;
    let mut finding = settle(&store, first, &ledger)?;
    finding.note("each sent twice");
    finding.expect_all_taken_within(DEADLINE);
    Ok(finding)
}
