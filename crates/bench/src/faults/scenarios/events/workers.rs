//! Workers are killed while they push.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use traffic::stream::scramble;

use super::{Audience, LATE, home, load};
use crate::Stage;
use crate::finding::Finding;
use crate::scenarios::{DEADLINE, pause};
use crate::store::Store;

/// A worker that was killed is replaced when its lease has ended and somebody has
/// looked for it.
const REPLACED: Duration = Duration::from_secs(15);

/// A worker asks for its share every second, and another gives back what is too
/// much within a third of a lease, when the events under way have ended.
const SHARED: Duration = Duration::from_secs(10);

/// A worker beside a receiver that only takes reports is killed at random moments
/// and started again. Every other time it had not taken up its work.
pub fn killed(stage: &Stage) -> Result<Finding> {
    let kills: u16 = if stage.quick { 3 } else { 20 };
    let store = Store::new(stage.engine)?;
    let home = home(stage, &store)?;
    let receiver = home.start_without_workers()?;
    let audience = Audience::new(&home, 1)?;
    audience.set(LATE);
    let mut worker = home.launch_worker()?;
    let load = load(stage, &home).start();
    let mut at_work = 0;
    for number in 0..kills {
        let before = audience.taken();
        if number % 2 == 0 {
            audience.until_taken(1, REPLACED);
        }
        let millis = scramble(stage.seed ^ u64::from(number) << 32) % 700;
        thread::sleep(Duration::from_millis(millis));
        at_work += u16::from(audience.taken() > before);
        worker.kill()?;
        worker = home.launch_worker()?;
    }
    let again = audience.until_taken(1, REPLACED);
    let ledger = load.stop()?;
    let mut finding = audience.settle(&store, receiver, &ledger)?;
    worker.kill()?;
    finding.note(format!("killed {kills} times"));
    finding.expect(
        at_work >= kills / 2,
        format!("it pushed before {at_work} of {kills} kills only"),
    );
    finding.expect_in_time(again, "nothing was pushed after the last start");
    finding.expect_all_taken_within(DEADLINE);
    Ok(finding)
}

/// A worker has five subscriptions, another one comes and takes its share; one is
/// killed, the other takes over; it is started again, and the other is killed.
pub fn shared(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = home(stage, &store)?;
    let receiver = home.start_without_workers()?;
    let first = home.launch_worker()?;
    let audience = Audience::new(&home, 5)?;
    audience.set(LATE);
    let mut load = load(stage, &home);
    // Each report is told five times.
    load.rate = load.rate.map(|rate| rate / 2);
    let load = load.start();
    audience.until_taken(500, REPLACED);
    let alone = audience.until_shared(&[5], SHARED);
    let second = home.launch_worker()?;
    let shared = audience.until_shared(&[2, 3], SHARED);
    audience.until_taken(500, REPLACED);
    first.kill()?;
    let taken_over = audience.until_shared(&[5], REPLACED);
    let first = home.launch_worker()?;
    let shared_again = audience.until_shared(&[2, 3], SHARED);
    audience.until_taken(500, REPLACED);
    second.kill()?;
    let again = audience.until_taken(500, REPLACED);
    pause(1.0);
    let ledger = load.stop()?;
    let mut finding = audience.settle(&store, receiver, &ledger)?;
    first.kill()?;
    finding.note("five subscriptions");
    finding.expect_in_time(alone, "one worker alone did not have them all");
    finding.expect_in_time(shared, "a second worker did not get its share");
    finding.expect_in_time(taken_over, "one worker did not take over from the other");
    finding.expect_in_time(
        shared_again,
        "a worker that came back did not get its share",
    );
    finding.expect_in_time(again, "nothing was pushed after the last kill");
    finding.expect_all_taken_within(DEADLINE);
    Ok(finding)
}
