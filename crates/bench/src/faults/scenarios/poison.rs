//! A report that the store will never take, among good ones.

use anyhow::Result;

use super::{DEADLINE, settle};
use crate::Stage;
use crate::finding::Finding;
use crate::home::RuntimeHandle;
use crate::ledger::Ledger;
use crate::load::Load;
use crate::report::Report;
use crate::store::Store;

/// The number of the poison, which the load does not repeat.
const POISON: u64 = 500;

/// What the store is made to refuse: nothing that the receiver lets pass is
/// refused by itself.
const WORD: &str = "arsenic";

/// A thousand reports, one of which the store will never take.
fn load(home: &RuntimeHandle) -> Load {
    let mut load = Load::flood(home.public(), 64);
    load.reports = 1_000;
    load.special = Some((POISON, format!("&Note={WORD}")));
    load
}

/// It is refused, and kept as a rejection; the others are stored.
pub fn poison(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = RuntimeHandle::new(stage, &store.url())?;
    home.add_channel()?;
    store.refuse(WORD)?;
    let receiver = home.start()?;
    let ledger = load(&home).start().finish()?;
    let mut finding = settle(&store, receiver, &ledger)?;
    let counts = (count(&ledger, 204), count(&ledger, 422));
    finding.note("999 × 204, 1 × 422, 1 rejection");
    finding.expect(
        counts == (999, 1),
        format!("{} × 204 and {} × 422", counts.0, counts.1),
    );
    expect_one_rejection(&mut finding, &store)?;
    Ok(finding)
}

/// It was acknowledged while the database was away: it is kept as a rejection
/// when the journal is drained, and does not block the others.
pub fn in_journal(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = RuntimeHandle::new(stage, &store.url())?;
    home.add_channel()?;
    store.refuse(WORD)?;
    let receiver = home.start()?;
    store.postgres()?.stop()?;
    let ledger = load(&home).start().finish()?;
    store.postgres()?.start_again()?;
    receiver.wait_until_drained()?;
    receiver.stop()?;
    let gone = [Report::nth(1, POISON)].into();
    let mut finding = Finding::compare_without(&ledger, &store.kept()?, &gone);
    finding.note("1 rejection");
    finding.expect_all_taken_within(DEADLINE);
    finding.expect(
        finding.found + 1 == finding.acknowledged,
        "not exactly the poison is missing",
    );
    finding.expect(
        home.log().contains("refuses an acknowledged report"),
        "the log does not tell of it",
    );
    expect_one_rejection(&mut finding, &store)?;
    Ok(finding)
}

fn count(ledger: &Ledger, status: u16) -> usize {
    ledger.answered(status).count()
}

fn expect_one_rejection(finding: &mut Finding, store: &Store) -> Result<()> {
    let rejections = store.kept()?.rejections;
    finding.expect(rejections == 1, format!("{rejections} rejections"));
    Ok(())
}
