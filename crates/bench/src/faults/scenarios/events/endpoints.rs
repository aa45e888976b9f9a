//! Many endpoints that hang or fail, beside one that is well.

use std::time::Duration;

use anyhow::Result;
use bench::events::feed::{self, From, PRIVATE_TARGETS};
use bench::events::subscriber::{Manner, Subscriber};

use super::{Audience, load, until};
use crate::Stage;
use crate::finding::Finding;
use crate::home::RuntimeHandle;
use crate::scenarios::{DEADLINE, pause};
use crate::store::Store;

/// How many endpoints hang, and how many answer 500.
const EACH: usize = 450;

/// How long an event may take to the one that is well.
const ARRIVES: Duration = Duration::from_secs(20);

/// What they may cost.
const MEMORY: u64 = 256 << 20;

/// Half of 900 endpoints hang, and half answer 500 to everything.
pub fn crowd(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let (name, value) = PRIVATE_TARGETS;
    let home = RuntimeHandle::new(stage, &store.url())?.with(name, value);
    home.add_channel()?;
    let receiver = home.start()?;
    let audience = Audience::new(&home, 1)?;
    let load = load(stage, &home);
    let wanted = load.rate.map_or(0.0, f64::from);
    let load = load.start();
    pause(5.0);
    let (memory, alone_until) = (receiver.memory()?, load.elapsed());
    let mut endpoints = Vec::new();
    for manner in [Manner::Hangs, Manner::FailsOneIn(1)] {
        let endpoint = Subscriber::counting()?;
        endpoint.set(manner);
        for number in 0..EACH {
            let url = format!("{}?endpoint={number}", endpoint.url());
            feed::subscribe(home.operator(), &url, From::Now)?;
        }
        endpoints.push(endpoint);
    }
    let began = load.elapsed();
    let mut most = memory;
    for _ in 0..60 {
        pause(0.5);
        most = most.max(receiver.memory()?);
    }
    let before = audience.taken();
    let told = until(ARRIVES, || audience.taken() > before + 100);
    let ended = load.elapsed();
    let ledger = load.stop()?;
    let open_files = receiver.open_files()?;
    let mut finding = audience.settle(&store, receiver, &ledger)?;
    let (alone, beside) = (
        ledger.median(Duration::ZERO, alone_until),
        ledger.median(began, ended),
    );
    let part = ledger.rate(began, ended) / wanted;
    let grown = most.saturating_sub(memory);
    finding.note(format!(
        "{} endpoints; p50 {alone:.1?} alone, {beside:.1?} beside them; {:.0} % of the rate; \
         memory + {} MiB; {open_files} open files",
        2 * EACH,
        100.0 * part,
        grown >> 20,
    ));
    finding.expect_in_time(part >= 0.95, "reports were held up");
    finding.expect_in_time(
        beside <= Duration::from_millis(200),
        "reports were slowed down",
    );
    finding.expect_in_time(told, "events to the healthy endpoint were held up");
    finding.expect(grown <= MEMORY, "memory grew");
    finding.expect_all_taken_within(DEADLINE);
    Ok(finding)
}
