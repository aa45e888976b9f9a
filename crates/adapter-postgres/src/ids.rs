//! The ids of the log on a server that counts transactions anew.

use sqlx::PgConnection;

use crate::error::is_unmigrated;

/// Makes the next ids greater than all there are.
///
/// They always are, but on a server to which the data came from another one, by a dump or by
/// logical replication: transaction ids start low there. (`pg_upgrade` and physical copies
/// keep them.) So this is asked on each new connection, before it writes: whoever replaces
/// the server replaces the connections too.
pub(crate) async fn raise(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let low = sqlx::query_scalar!(
        r#"select exists (
               select from report_log
               where xact_offset + pg_snapshot_xmax(pg_current_snapshot())::text::bigint
                   <= (select max(id) >> 16 from reports)
           ) as "low!""#
    )
    .fetch_one(&mut *connection)
    .await;
    match low {
        Ok(false) => Ok(()),
        Ok(true) => raise_now(connection).await,
        // Whoever makes the tables calls again.
        Err(error) if is_unmigrated(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Of several that come here at once the first one does it.
async fn raise_now(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let raised = sqlx::query_scalar!(
        "update report_log
         set xact_offset = (select max(id) >> 16 from reports) + 1
             - pg_snapshot_xmin(pg_current_snapshot())::text::bigint
         where xact_offset + pg_snapshot_xmax(pg_current_snapshot())::text::bigint
             <= (select max(id) >> 16 from reports)
         returning xact_offset"
    )
    .fetch_optional(connection)
    .await?;
    if let Some(offset) = raised {
        tracing::info!(offset, "the log came from another server; its ids go on");
    }
    Ok(())
}
