//! The database server is gone for a while.

use std::time::Duration;

use anyhow::Result;

use super::{DEADLINE, pause, settle};
use crate::Stage;
use crate::finding::Finding;
use crate::home::RuntimeHandle;
use crate::ledger::Ledger;
use crate::load::Load;
use crate::store::Store;

/// Stopped as by a crash under load, and started again.
pub fn outage(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = RuntimeHandle::new(stage, &store.url())?;
    home.add_channel()?;
    let receiver = home.start()?;
    let load = Load::on(home.public()).start();
    pause(2.0);
    store.postgres()?.stop()?;
    pause(if stage.quick { 10.0 } else { 30.0 });
    store.postgres()?.start_again()?;
    pause(3.0);
    let ledger = load.stop()?;
    receiver.wait_until_drained()?;
    let journaled = receiver.metric("receiptd_journaled_reports_total")?;
    let mut finding = settle(&store, receiver, &ledger)?;
    finding.note(format!("{journaled} went to the journal"));
    finding.expect(journaled > 0.0, "the journal was not used");
    finding.expect_all_taken_within(DEADLINE);
    Ok(finding)
}

/// The same, and the receiver is killed and started again while the server is
/// away, and once more while the journal is drained.
pub fn killed_meanwhile(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = RuntimeHandle::new(stage, &store.url())?;
    home.add_channel()?;
    let receiver = home.start()?;
    let load = Load::on(home.public()).start();
    pause(2.0);
    store.postgres()?.stop()?;
    pause(if stage.quick { 7.0 } else { 12.0 });
    receiver.kill()?;
    let receiver = home.start()?;
    let (status, _) = receiver.health()?;
    pause(if stage.quick { 3.0 } else { 13.0 });
    store.postgres()?.start_again()?;
    pause(0.7);
    receiver.kill()?;
    let receiver = home.start()?;
    pause(2.0);
    let ledger = load.stop()?;
    let mut finding = settle(&store, receiver, &ledger)?;
    finding.expect(
        status == 200,
        "without its database it is not ready, and load balancers lose it",
    );
    finding.expect(finding.refused == 0, "requests were refused");
    finding.expect_answers_within(DEADLINE);
    Ok(finding)
}

/// Restarted while nothing is under way: the very next report is taken.
pub fn idle(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = RuntimeHandle::new(stage, &store.url())?;
    home.add_channel()?;
    let receiver = home.start()?;
    let mut ledger = Ledger::default();
    for stream in 1..=5 {
        let mut load = Load::flood(home.public(), 1);
        load.stream = stream;
        load.reports = 1;
        ledger.add(load.start().finish()?);
        // Both connections that were just used and ones that were not.
        pause(if stream % 2 == 0 { 2.5 } else { 0.2 });
        store.postgres()?.stop()?;
        store.postgres()?.start_again()?;
    }
    let mut last = Load::flood(home.public(), 1);
    last.reports = 20;
    last.stream = 9;
    ledger.add(last.start().finish()?);
    let mut finding = settle(&store, receiver, &ledger)?;
    finding.expect_all_taken_within(Duration::from_secs(1));
    Ok(finding)
}
