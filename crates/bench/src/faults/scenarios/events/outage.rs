//! The database is away while events are pushed.

use anyhow::Result;

use super::{Audience, LATE, home, load};
use crate::Stage;
use crate::finding::Finding;
use crate::scenarios::{DEADLINE, pause};
use crate::store::Store;

/// Stopped as by a crash under load, for longer than a lease lasts, and started
/// again.
pub fn outage(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = home(stage, &store)?;
    let receiver = home.start()?;
    let audience = Audience::new(&home, 2)?;
    audience.set(LATE);
    let load = load(stage, &home).start();
    pause(3.0);
    store.postgres()?.stop()?;
    pause(10.0);
    store.postgres()?.start_again()?;
    pause(5.0);
    let ledger = load.stop()?;
    receiver.wait_until_drained()?;
    let journaled = receiver.metric("receiptd_journaled_reports_total")?;
    let mut finding = audience.settle(&store, receiver, &ledger)?;
    finding.note(format!("{journaled} went to the journal"));
    finding.expect(journaled > 0.0, "the journal was not used");
    finding.expect_all_taken_within(DEADLINE);
    Ok(finding)
}
