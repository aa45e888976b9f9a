//! Another process holds the write lock of the embedded database.

use std::str::FromStr as _;

use anyhow::Result;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

use super::{DEADLINE, pause, settle};
use crate::Stage;
use crate::finding::Finding;
use crate::home::RuntimeHandle;
use crate::load::Load;
use crate::store::Store;

/// A backup tool, or a shell with an open transaction: for 20 s nothing can be written.
pub fn held(stage: &Stage) -> Result<Finding> {
    held_while(stage, false)
}

/// The same, and the receiver is killed and started meanwhile.
pub fn held_and_killed(stage: &Stage) -> Result<Finding> {
    held_while(stage, true)
}

fn held_while(stage: &Stage, killed: bool) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = RuntimeHandle::new(stage, &store.url())?;
    home.add_channel()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut receiver = home.start()?;
    let load = Load::on(home.public()).start();
    pause(1.0);
    let options = SqliteConnectOptions::from_str(&store.url())?;
    let mut holder: SqliteConnection = runtime.block_on(options.connect())?;
    runtime.block_on(holder.execute("begin immediate"))?;
    pause(10.0);
    if killed {
        receiver.kill()?;
        receiver = home.start()?;
    }
    pause(10.0);
    let journaled = receiver.metric("receiptd_journaled_reports_total")?;
    let (status, _) = receiver.health()?;
    runtime.block_on(holder.execute("rollback"))?;
    runtime.block_on(holder.close())?;
    pause(2.0);
    let ledger = load.stop()?;
    let mut finding = settle(&store, receiver, &ledger)?;
    finding.note(format!("{journaled} went to the journal"));
    finding.expect(journaled > 0.0, "the journal was not used");
    finding.expect(status == 200, format!("/readyz answered {status}"));
    if killed {
        finding.expect_answers_within(DEADLINE);
    } else {
        finding.expect_all_taken_within(DEADLINE);
    }
    Ok(finding)
}
