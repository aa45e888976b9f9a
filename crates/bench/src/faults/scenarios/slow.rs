//! The database is there, and slow.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::{DEADLINE, pause, settle};
use crate::Stage;
use crate::crowd::Crowd;
use crate::finding::Finding;
use crate::home::RuntimeHandle;
use crate::load::Load;
use crate::proxy::{Manner, Proxy};
use crate::receiver::Receiver;
use crate::store::{Postgres, Store};

/// Every answer of the server comes 3 s late.
pub fn late(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let proxy = Proxy::start(store.postgres()?.address())?;
    let home = RuntimeHandle::new(stage, &Postgres::url_through(proxy.address()))?;
    home.add_channel()?;
    let receiver = home.start()?;
    let load = Load::on(home.public()).start();
    pause(2.0);
    proxy.set(Manner::Late(Duration::from_secs(3)));
    pause(if stage.quick { 10.0 } else { 20.0 });
    proxy.set(Manner::Pass);
    pause(3.0);
    let ledger = load.stop()?;
    receiver.wait_until_drained()?;
    let journaled = receiver.metric("receiptd_journaled_reports_total")?;
    let mut finding = settle(&store, receiver, &ledger)?;
    finding.note(format!("{journaled} went to the journal"));
    finding.expect_all_taken_within(DEADLINE);
    Ok(finding)
}

/// The server says nothing at all for a while; what it was sent meanwhile
/// reaches it late.
pub fn silence(stage: &Stage) -> Result<Finding> {
    silent(stage, false)
}

/// The same, with all connections in use, and those that were open then never
/// speak again; only new ones do.
pub fn forgotten(stage: &Stage) -> Result<Finding> {
    silent(stage, true)
}

fn silent(stage: &Stage, for_good: bool) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let proxy = Proxy::start(store.postgres()?.address())?;
    let url = Postgres::url_through(proxy.address());
    let home = RuntimeHandle::new(stage, &url)?.with("RECEIPTD_DATABASE_CONNECTIONS", "4");
    home.add_channel()?;
    let receiver = home.start()?;
    let load = Load::on(home.public()).start();
    let silence = || {
        pause(2.0);
        proxy.set(Manner::Silent);
        pause(12.0);
        if for_good {
            proxy.forget();
        }
        proxy.set(Manner::Pass);
        Ok(())
    };
    if for_good {
        beside_readers(&receiver, silence)?;
    } else {
        silence()?;
    }
    pause(3.0);
    let ledger = load.stop()?;
    let recovered = receiver.wait_until_drained()?;
    let mut finding = settle(&store, receiver, &ledger)?;
    finding.expect_in_time(
        recovered <= Duration::from_secs(30),
        format!("it took {recovered:.0?} to recover"),
    );
    finding.expect_all_taken_within(DEADLINE);
    Ok(finding)
}

/// Does something while people look at messages, more of them than there are
/// connections to the database.
fn beside_readers(receiver: &Receiver<'_>, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    receiver.ask("/api/v1/messages?limit=1");
                }
            });
        }
        let outcome = work();
        done.store(true, Ordering::Relaxed);
        outcome
    })
}

/// A session keeps the row of one message locked; the others are recorded meanwhile.
pub fn locked_row(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = RuntimeHandle::new(stage, &store.url())?;
    home.add_channel()?;
    let receiver = home.start()?;
    let postgres = store.postgres()?;
    let load = |reports| Load {
        reports,
        ..Load::on(home.public())
    };
    let mut ledger = load(300).start().finish()?;
    let lock = postgres.lock_rows(
        "select from messages where sid = (select sid from messages order by sid limit 1)",
    )?;
    let recorded = || postgres.ask("select sum(cardinality(report_ids))::text from messages");
    let before: u64 = recorded()?.parse()?;
    // The same messages again, and more.
    let again = load(1_000_000).start();
    pause(12.0);
    let meanwhile = recorded()?.parse::<u64>()? - before;
    let sent = again.acknowledged();
    drop(lock);
    ledger.add(again.stop()?);
    receiver.wait_until_drained()?;
    let mut finding = settle(&store, receiver, &ledger)?;
    finding.note(format!("{meanwhile} reports recorded beside the lock"));
    finding.expect(
        meanwhile > sent / 2,
        format!("only {meanwhile} of {sent} reports were recorded beside the lock"),
    );
    finding.expect_all_taken_within(DEADLINE);
    Ok(finding)
}

/// Somebody holds the lock on a table while reports come one after the other, whether those
/// before were answered or not.
pub fn crowd(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = RuntimeHandle::new(stage, &store.url())?;
    home.add_channel()?;
    let receiver = home.start()?;
    let crowd = Crowd {
        receiver: home.public(),
        rate: 3_000,
        lasting: Duration::from_secs(12),
        connections: 8_000,
    };
    let crowd = crowd.start();
    pause(1.0);
    let lock = store.postgres()?.lock_messages()?;
    pause(9.0);
    drop(lock);
    let (ledger, connections) = crowd.finish()?;
    let mut finding = settle(&store, receiver, &ledger)?;
    let refused = ledger.entries.iter();
    let refused = refused.filter(|entry| entry.status.is_some_and(|status| status != 204));
    let slowest = refused.map(|entry| entry.took).max().unwrap_or_default();
    finding.note(format!("{connections} connections at most"));
    finding.expect_in_time(
        slowest < Duration::from_secs(1),
        format!("a refusal took {slowest:.1?}"),
    );
    finding.expect(finding.unanswered == 0, "requests were not answered");
    finding.expect_in_time(
        finding.slowest <= DEADLINE,
        format!("an answer took {:.1?}", finding.slowest),
    );
    Ok(finding)
}

/// Somebody holds the lock on a table, and whoever looks at messages holds the
/// few connections there are.
pub fn locks(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = RuntimeHandle::new(stage, &store.url())?.with("RECEIPTD_DATABASE_CONNECTIONS", "4");
    home.add_channel()?;
    let receiver = home.start()?;
    let load = Load::on(home.public()).start();
    pause(2.0);
    beside_readers(&receiver, || {
        let lock = store.postgres()?.lock_messages()?;
        pause(if stage.quick { 8.0 } else { 15.0 });
        drop(lock);
        Ok(())
    })?;
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
