//! The partitions of the log, one per UTC day.

use sqlx::PgConnection;
use time::Date;

/// How many days after today have a partition.
const DAYS_AHEAD: i32 = 7;

/// Returns the current UTC day by the server's clock.
pub(crate) async fn today(connection: &mut PgConnection) -> Result<Date, sqlx::Error> {
    sqlx::query_scalar!(r#"select (now() at time zone 'UTC')::date as "today!""#)
        .fetch_one(connection)
        .await
}

/// Creates the missing partitions of a day and the next ones, each in a transaction of its own.
/// Returns how many.
pub(crate) async fn make(connection: &mut PgConnection, today: Date) -> Result<u32, sqlx::Error> {
    let missing = sqlx::query_scalar!(
        r#"select $1::date + days as "day!"
           from generate_series(0, $2::integer) as days
           where to_regclass('reports_' || to_char($1::date + days, 'YYYYMMDD')) is null"#,
        today,
        DAYS_AHEAD,
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut made = 0;
    for day in missing {
        // Readers of the log queue up after a waiting lock request, so it gives up soon; the
        // caller tries again later.
        let new = sqlx::query_scalar!(
            r#"select reports_make_partition($1) as "new!"
               from set_config('lock_timeout', '1s', true)"#,
            day,
        )
        .fetch_one(&mut *connection)
        .await?;
        if new {
            made += 1;
        } else {
            tracing::warn!(%day, "no partition was created for a day: its reports are in the default partition");
        }
    }
    Ok(made)
}
