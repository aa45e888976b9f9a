//! Whether what was committed outlives a crash of the server's machine.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ports::StoreError;
use sqlx::{PgConnection, PgPool};

use crate::error::store_error;
use crate::patience::Operation as _;

/// What the log was told of: a pool connects often.
#[derive(Debug, Default)]
pub(crate) struct Told {
    synchronous_commit: AtomicBool,
    fsync: AtomicBool,
}

/// Has commits on a new connection wait for the disk. A role or a database may have
/// `synchronous_commit = off`, and a server may be given it later, which is why the setting
/// becomes the session's own. Every other level waits for this server's disk, at least.
pub(crate) async fn insist(connection: &mut PgConnection, told: &Told) -> Result<(), sqlx::Error> {
    let found = sqlx::query!(
        r#"with found as materialized (
               select current_setting('synchronous_commit') as level,
                   current_setting('fsync') = 'on' as syncs
           )
           select level as "level!", syncs as "syncs!", set_config(
               'synchronous_commit', case level when 'off' then 'on' else level end, false
           ) as "level_now!"
           from found"#
    )
    .fetch_one(connection)
    .await?;
    let raised = found.level != found.level_now;
    if raised && !told.synchronous_commit.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            "synchronous_commit is {} for this role or database; reports are committed with {}",
            found.level,
            found.level_now
        );
    }
    if !found.syncs && !told.fsync.swap(true, Ordering::Relaxed) {
        tracing::warn!("{FSYNC_OFF}");
    }
    Ok(())
}

const FSYNC_OFF: &str =
    "fsync is off: reports that were answered are lost when the server's machine crashes";

/// What of the server's settings nobody but its operator can mend.
pub(crate) async fn risk(pool: &PgPool, patience: Duration) -> Result<Option<String>, StoreError> {
    let syncs = sqlx::query_scalar!(r#"select current_setting('fsync') = 'on' as "syncs!""#)
        .fetch_one(pool)
        .in_time(patience)
        .await
        .map_err(store_error("pg_settings"))?;
    Ok((!syncs).then(|| FSYNC_OFF.to_owned()))
}
