//! The subscriber is in a bad way.

use std::time::{Duration, Instant};

use anyhow::Result;
use bench::events::subscriber::Manner;

use super::{Audience, home, load};
use crate::Stage;
use crate::finding::Finding;
use crate::scenarios::{DEADLINE, pause};
use crate::store::Store;

/// The longest pause between two tries at a target that takes nothing, a quarter
/// longer by chance, and a little more.
const ASKED: Duration = Duration::from_secs(78);

/// How long it may take to deliver what gathered in two minutes.
const CAUGHT_UP: Duration = Duration::from_mins(1);

/// Nobody listens for a while; reports go on coming.
pub fn away(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = home(stage, &store)?;
    let receiver = home.start()?;
    let audience = Audience::new(&home, 1)?;
    let load = load(stage, &home).start();
    let before = audience.until_taken(200, Duration::from_secs(20));
    audience.set(Manner::Away);
    pause(if stage.quick { 10.0 } else { 120.0 });
    audience.set(Manner::Takes);
    let back = Instant::now();
    let again = audience.until_taken(1, ASKED);
    let asked = back.elapsed();
    // Beside the reports that go on coming, a second's worth of which may wait.
    let caught_up = audience.until_behind_at_most(400, CAUGHT_UP);
    let took = back.elapsed().saturating_sub(asked);
    let ledger = load.stop()?;
    let mut finding = audience.settle(&store, receiver, &ledger)?;
    finding.note(format!("asked after {asked:.1?}, caught up in {took:.1?}"));
    finding.expect(before, "nothing was taken before");
    finding.expect_in_time(again, "it was not asked again");
    finding.expect_in_time(caught_up, "it did not catch up");
    finding.expect_all_taken_within(DEADLINE);
    Ok(finding)
}

/// It answers 500 to one event in twenty, whichever that is.
pub fn fails(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = home(stage, &store)?;
    let receiver = home.start()?;
    let audience = Audience::new(&home, 1)?;
    audience.set(Manner::FailsOneIn(20));
    let load = load(stage, &home).start();
    pause(10.0);
    let ledger = load.stop()?;
    let mut finding = audience.settle(&store, receiver, &ledger)?;
    finding.expect_all_taken_within(DEADLINE);
    Ok(finding)
}
