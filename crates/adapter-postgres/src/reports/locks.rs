//! Which messages other sessions have locked.

use domain::Report;
use sqlx::postgres::PgPool;

/// Returns for each report whether another session holds a lock on the row of its message that
/// keeps it from being updated.
pub(crate) async fn locked(pool: &PgPool, reports: &[Report]) -> Result<Vec<bool>, sqlx::Error> {
    let channels: Vec<_> = reports
        .iter()
        .map(|report| report.key.channel.as_str())
        .collect();
    let sids: Vec<_> = reports
        .iter()
        .map(|report| report.key.sid.to_compact())
        .collect();
    sqlx::query_scalar!(
        r#"
with
-- The messages of the reports.
wanted as materialized (
    select channel_id, sid, nth
    from unnest($1::text[], $2::bytea[]) with ordinality as wanted (channel_id, sid, nth)
),
-- Those that can be locked as an update does; released when this statement ends.
free as materialized (
    select channel_id, sid
    from messages
    where (channel_id, sid) in (select channel_id, sid from wanted)
    for no key update skip locked
)
select exists (
        select from messages
        where messages.channel_id = wanted.channel_id and messages.sid = wanted.sid
    ) and not exists (
        select from free
        where free.channel_id = wanted.channel_id and free.sid = wanted.sid
    ) as "locked!"
from wanted
order by nth"#,
        &channels as _,
        &sids,
    )
    .fetch_all(pool)
    .await
}
