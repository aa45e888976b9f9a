//! Another server takes the place of the database server.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{DEADLINE, pause};
use crate::Stage;
use crate::finding::Finding;
use crate::home::RuntimeHandle;
use crate::load::Load;
use crate::proxy::Proxy;
use crate::store::{Postgres, Store};

/// How long the receiver may take to find the new primary.
const FOUND: Duration = Duration::from_secs(30);

/// The old primary stays up, read-only, and old connections stay with it.
pub fn old_primary_read_only(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let old = store.postgres()?;
    let proxy = Proxy::start(old.address())?;
    let home = RuntimeHandle::new(stage, &Postgres::url_through(proxy.address()))?;
    home.add_channel()?;
    let standby = old.start_standby()?;
    let receiver = home.start()?;
    let load = Load::on(home.public()).start();
    pause(2.0);
    old.execute("alter system set default_transaction_read_only = on")?;
    old.execute("select pg_reload_conf()")?;
    pause(1.0);
    until_replayed(old, &standby)?;
    standby.promote()?;
    proxy.redirect(standby.address());
    let switched = Instant::now();
    receiver.wait_until_drained()?;
    let found = switched.elapsed();
    pause(2.0);
    let ledger = load.stop()?;
    receiver.wait_until_drained()?;
    receiver.stop()?;
    let mut finding = Finding::compare(&ledger, &Store::Server(standby).kept()?);
    finding.note(format!("recording again after {found:.1?}"));
    finding.expect_in_time(found <= FOUND, format!("it took {found:.0?} to recover"));
    finding.expect_all_taken_within(DEADLINE);
    Ok(finding)
}

/// Waits until the standby has what the primary has.
fn until_replayed(primary: &Postgres, standby: &Postgres) -> Result<()> {
    let written = primary.ask("select pg_current_wal_lsn()::text")?;
    let replayed = format!("select (pg_last_wal_replay_lsn() >= '{written}'::pg_lsn)::text");
    let began = Instant::now();
    while standby.ask(&replayed)? != "true" {
        ensure!(began.elapsed() < FOUND, "the standby does not follow");
        pause(0.1);
    }
    Ok(())
}
