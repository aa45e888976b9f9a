//! Report ids after the database moved to a server with lower transaction ids.

use sqlx::{Connection as _, PgConnection};

use crate::error::is_unmigrated;

/// How many transaction ids are skipped. Clients hold positions that the database does not know,
/// such as the end of the log after the backup: new reports must come after those as well.
const SKIPPED_TRANSACTIONS: i64 = 1 << 32;

/// Raises the next report ids above every stored position.
///
/// They always are, except on a server to which the data was moved by a dump or by logical
/// replication: its transaction ids start low. (`pg_upgrade` and physical copies keep them.)
/// Positions reach beyond the last report: a reader's position is the end of the log, which
/// other transactions of the old server have moved, and the log may be pruned empty. Ids of
/// reports that messages and deliveries refer to are in the log or below what was pruned.
///
/// This is checked on each new connection before it writes: when the server is replaced, so are
/// the connections. It does nothing on a server that is read-only.
pub(crate) async fn raise(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let low = sqlx::query!(
        r#"select first_report_id(pg_snapshot_xmax(pg_current_snapshot()), xact_offset) <= greatest(
                   pruned_through,
                   (select max(id) from reports),
                   (select max(position) from log_time_index),
                   (select max(position) from log_cursors),
                   (select max(position) from subscriptions),
                   (select max(log_after) from erasures)
               ) as "log!",
               coalesce((select max(id) from rejections), 0)
                   >= (select last_value + is_called::integer from rejections_id_seq)
                   as "rejections!"
           from report_log
           where current_setting('transaction_read_only') = 'off'"#
    )
    .fetch_optional(&mut *connection)
    .await;
    match low {
        Ok(Some(low)) => {
            if low.log {
                raise_log(connection).await?;
            }
            if low.rejections {
                raise_rejections(connection).await?;
            }
            Ok(())
        }
        Ok(None) => Ok(()),
        // The migration calls this again.
        Err(error) if is_unmigrated(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Raises the offset once, on the first of several connections.
///
/// Transactions that write with the old offset end before it is raised, and later ones see the
/// new one: every statement that makes ids locks the table before it takes its snapshot.
async fn raise_log(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sqlx::query!("lock table report_log in access exclusive mode")
        .execute(&mut *transaction)
        .await?;
    let raised = sqlx::query_scalar!(
        "with stored as (
             select greatest(
                 pruned_through,
                 (select max(id) from reports),
                 (select max(position) from log_time_index),
                 (select max(position) from log_cursors),
                 (select max(position) from subscriptions),
                 (select max(log_after) from erasures)
             ) as greatest_position
             from report_log
         )
         update report_log
         set xact_offset = report_id_xact(greatest_position) + $1
             - pg_snapshot_xmin(pg_current_snapshot())::text::bigint
         from stored
         where first_report_id(pg_snapshot_xmax(pg_current_snapshot()), xact_offset)
             <= greatest_position
         returning xact_offset",
        SKIPPED_TRANSACTIONS,
    )
    .fetch_optional(&mut *transaction)
    .await?;
    transaction.commit().await?;
    if let Some(offset) = raised {
        tracing::info!(
            offset,
            "the database was moved from another server: new report ids continue above the old ones"
        );
    }
    Ok(())
}

/// Logical replication does not copy the state of a sequence.
async fn raise_rejections(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("select setval('rejections_id_seq', max(id)) from rejections")
        .fetch_one(connection)
        .await
        .map(drop)
}
