//! The receiver is killed.

use std::time::Duration;

use anyhow::Result;
use traffic::stream::scramble;

use super::{pause, settle};
use crate::Stage;
use crate::finding::Finding;
use crate::home::RuntimeHandle;
use crate::load::Load;
use crate::store::Store;

/// Killed at random moments under load, starts included, and started again on
/// the same data.
pub fn kill(stage: &Stage) -> Result<Finding> {
    let kills: u16 = if stage.quick { 6 } else { 20 };
    let store = Store::new(stage.engine)?;
    let home = RuntimeHandle::new(stage, &store.url())?;
    home.add_channel()?;
    let mut receiver = home.start()?;
    let mut load = Load::on(home.public());
    load.rate = Some(6_000);
    let load = load.start();
    let mut alive = 0;
    for number in 0..kills {
        let before = load.acknowledged();
        let millis = 20 + scramble(stage.seed ^ u64::from(number) << 32) % 900;
        std::thread::sleep(Duration::from_millis(millis));
        // Every other time not while it starts, however long that takes.
        if number % 2 == 0 && load.acknowledged() == before {
            load.until_taken(1);
        }
        receiver.kill()?;
        alive += u16::from(load.acknowledged() > before);
        receiver = home.launch()?;
    }
    let again = load.until_taken(1);
    pause(1.0);
    let ledger = load.stop()?;
    let mut finding = settle(&store, receiver, &ledger)?;
    finding.note(format!("killed {kills} times"));
    finding.expect(
        alive >= kills / 3,
        format!("it took reports before {alive} of {kills} kills only"),
    );
    finding.expect(again, "nothing was taken after the last start");
    finding.expect(finding.refused == 0, "requests were refused");
    Ok(finding)
}
