//! The ids of the log on a server that counts transactions anew.

use sqlx::{Connection as _, PgConnection};

use crate::error::is_unmigrated;

/// Makes the next ids greater than every position that is stored.
///
/// They always are, except on a server to which the data came from another one, by a dump or
/// by logical replication: transaction ids start low there. (`pg_upgrade` and physical copies
/// keep them.) Positions reach beyond the last report: a reader's position is the end of the
/// log, which other transactions of the old server have moved on, and the log may be pruned
/// empty. Ids of reports that messages and deliveries refer to are in the log or below what
/// was pruned.
///
/// It is asked on each new connection, before that writes: when the server is replaced, so are
/// the connections. A connection to a server that takes no writes is left alone.
pub(crate) async fn raise(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let low = sqlx::query!(
        r#"select (xact_offset + pg_snapshot_xmax(pg_current_snapshot())::text::bigint) << 16 <= greatest(
                   pruned_through,
                   (select max(id) from reports),
                   (select max(position) from log_marks),
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
        // Whoever makes the tables calls again.
        Err(error) if is_unmigrated(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Raises the offset once, whichever of several connections comes first.
///
/// Transactions that write with the old offset end before it is raised, and later ones see the
/// new one: every statement that makes ids takes a lock on the table before its snapshot.
///
/// Clients keep positions that the database does not know of, such as the end of the log after
/// the backup. So 2^32 transactions are passed over: what is recorded from now on is after
/// those positions as well.
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
                 (select max(position) from log_marks),
                 (select max(position) from log_cursors),
                 (select max(position) from subscriptions),
                 (select max(log_after) from erasures)
             ) as greatest_position
             from report_log
         )
         update report_log
         set xact_offset = (greatest_position >> 16) + (1::bigint << 32)
             - pg_snapshot_xmin(pg_current_snapshot())::text::bigint
         from stored
         where (xact_offset + pg_snapshot_xmax(pg_current_snapshot())::text::bigint) << 16
             <= greatest_position
         returning xact_offset"
    )
    .fetch_optional(&mut *transaction)
    .await?;
    transaction.commit().await?;
    if let Some(offset) = raised {
        tracing::info!(
            offset,
            "the database came from another server: positions in the log go on above the old ones"
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
