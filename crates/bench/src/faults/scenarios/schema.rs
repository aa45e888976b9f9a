//! A schema that is not as it should be.

use anyhow::Result;

use super::{DEADLINE, pause, settle};
use crate::Stage;
use crate::finding::Finding;
use crate::home::RuntimeHandle;
use crate::load::Load;
use crate::store::Store;

const DROP_PARTITIONS: &str = "do $$
declare
    partition regclass;
begin
    for partition in
        select inhrelid::regclass from pg_inherits where inhparent = 'reports'::regclass
    loop
        execute format('drop table %s', partition);
    end loop;
end $$";

/// No partition takes the reports of today, until one is made.
pub fn missing_partitions(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = RuntimeHandle::new(stage, &store.url())?;
    home.add_channel()?;
    let receiver = home.start()?;
    store.postgres()?.execute(DROP_PARTITIONS)?;
    let load = Load::on(home.public()).start();
    pause(8.0);
    store
        .postgres()?
        .execute("create table reports_default partition of reports default")?;
    pause(2.0);
    let ledger = load.stop()?;
    receiver.wait_until_drained()?;
    let journaled = receiver.metric("receiptd_journaled_reports_total")?;
    let mut finding = settle(&store, receiver, &ledger)?;
    let rejections = store.kept()?.rejections;
    finding.note(format!("{journaled} went to the journal"));
    finding.expect(journaled > 0.0, "the journal was not used");
    finding.expect(rejections == 0, format!("{rejections} rejections"));
    finding.expect_all_taken_within(DEADLINE);
    Ok(finding)
}
