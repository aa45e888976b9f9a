//! Whether committed data survives a crash of the server's machine.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ports::StoreError;
use sqlx::{PgConnection, PgPool};

use crate::error::store_error;
use crate::runtime::{Operation as _, StoreRuntime};

/// Which warnings were logged already: a pool connects often.
#[derive(Debug, Default)]
pub(crate) struct Warned {
    synchronous_commit: AtomicBool,
    fsync: AtomicBool,
}

/// Makes commits on a new connection wait for the disk. A role or a database may have
/// `synchronous_commit = off`, or get it later, so the setting becomes the session's own. Every
/// other level waits for this server's disk at least.
pub(crate) async fn enforce_synchronous_commit(
    connection: &mut PgConnection,
    warned: &Warned,
) -> Result<(), sqlx::Error> {
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
    if raised && !warned.synchronous_commit.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            "synchronous_commit is {} for this role or database; reports are committed with {}",
            found.level,
            found.level_now
        );
    }
    if !found.syncs && !warned.fsync.swap(true, Ordering::Relaxed) {
        tracing::warn!("{FSYNC_OFF}");
    }
    Ok(())
}

const FSYNC_OFF: &str =
    "fsync is off: reports that were answered are lost when the server's machine crashes";

/// Returns a warning for settings that only the server's operator can correct: those that can
/// lose committed reports, and requested `timeouts` that the server does not apply.
pub(crate) async fn durability_warning(
    pool: &PgPool,
    runtime: &StoreRuntime,
    timeouts: &[(&str, Duration)],
) -> Result<Option<String>, StoreError> {
    let names: Vec<_> = timeouts
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let query = async {
        let mut connection = pool.acquire().await?;
        let syncs = sqlx::query_scalar!(r#"select current_setting('fsync') = 'on' as "syncs!""#)
            .fetch_one(&mut *connection)
            .await?;
        // All are in milliseconds; 0 means none.
        let applied = sqlx::query!(
            r#"select name as "name!", setting::bigint as "milliseconds!"
               from pg_settings where name = any($1)"#,
            &names
        )
        .fetch_all(&mut *connection)
        .await?;
        Ok((syncs, applied))
    };
    let found: Result<_, sqlx::Error> = query.in_time(runtime, "read settings").await;
    let (syncs, applied) = found.map_err(store_error("pg_settings"))?;
    let lost = applied.into_iter().filter(|found| {
        let wanted = timeouts.iter().find(|(name, _)| *name == found.name);
        let wanted = wanted.map(|(_, wanted)| i64::try_from(wanted.as_millis()));
        wanted.is_some_and(|wanted| wanted != Ok(found.milliseconds))
    });
    let lost: Vec<_> = lost.map(|found| found.name).collect();
    let lost = (!lost.is_empty()).then(|| {
        format!(
            "the server does not apply {}: a pooler such as PgBouncer drops start-up options; \
             connect without it, or set them for the role with `alter role`",
            lost.join(", ")
        )
    });
    let warnings: Vec<_> = (!syncs)
        .then(|| FSYNC_OFF.to_owned())
        .into_iter()
        .chain(lost)
        .collect();
    Ok((!warnings.is_empty()).then(|| warnings.join("; ")))
}
