//! A database that is restored on a server with lower transaction ids.

use anyhow::Result;

use super::{Audience, home};
use crate::Stage;
use crate::finding::Finding;
use crate::home::RuntimeHandle;
use crate::load::Load;
use crate::scenarios::DEADLINE;
use crate::store::Store;

/// Uses up transaction ids, as other work in the same cluster does.
const CONSUME_IDS: &str = "do $$ begin
    for nth in 1..3000 loop
        perform pg_current_xact_id();
        commit;
    end loop;
end $$";

/// Subscriptions are at the end of the log, beyond its last report; what comes after the
/// restore is told all the same.
pub fn restored(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let old = home(stage, &store)?;
    let receiver = old.start()?;
    store.postgres()?.execute(CONSUME_IDS)?;
    let audience = Audience::new(&old, 1)?;
    receiver.stop()?;
    let restored = Store::Server(store.postgres()?.restore_elsewhere()?);
    let new = old.on(&restored.url());
    let receiver = new.start()?;
    let load = |home: &RuntimeHandle| Load {
        reports: 500,
        ..Load::on(home.public())
    };
    let ledger = load(&new).start().finish()?;
    let mut finding = audience.settle(&restored, receiver, &ledger)?;
    finding.expect_all_taken_within(DEADLINE);
    Ok(finding)
}
