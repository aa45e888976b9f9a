//! Finding a time in the log, which has no index on times: one would be written with every
//! report, and reports that come out of a journal late keep their old times, so that nothing
//! can be found by halves in the order of ids either.
//!
//! Instead it is noted once a minute where the log ends. What arrives from then on comes
//! behind that mark, however late it is recorded.

use domain::{LogPosition, Timestamp};
use ports::StoreError;
use time::Time;

use crate::PostgresStore;
use crate::error::store_error;
use crate::timeout::Operation as _;

const LOG_MARKS: &str = "log_marks";

/// How much later than now a receiver may think it is.
const CLOCKS_AGREE_TO_MICROS: i64 = 60 * 1_000_000;

/// Marks are made at least this far from each other, whoever makes them.
const MARKS_APART_MICROS: i64 = 50 * 1_000_000;

/// How many reports behind a mark are looked at for the first one of a time.
const LOOKED_AT: i64 = 100_000;

impl PostgresStore {
    /// Notes that the log ended at `head` at this time or before: the head is asked for first,
    /// then the clock. Nothing is noted if nothing was recorded since the last time, or if
    /// somebody has just done so.
    pub async fn mark(&self, at: Timestamp, head: LogPosition) -> Result<(), StoreError> {
        sqlx::query!(
            "with gone as (
                 delete from log_marks where position < (select pruned_through from report_log)
             )
             insert into log_marks (at, position)
             select $1, $2
             where not exists (
                     select from log_marks where at > $3 and at <= $1
                 )
                 and (select max(id) from reports)
                     > coalesce((select max(position) from log_marks where at <= $1), 0)
             on conflict (at) do nothing",
            at.to_date_time(),
            head.0,
            at.plus_micros(-MARKS_APART_MICROS).to_date_time(),
        )
        .execute(&self.pool)
        .in_time(&self.runtime)
        .await
        .map_err(store_error(LOG_MARKS))?;
        Ok(())
    }

    /// It begins at a mark, or at the first report of the day: the day's partition and those
    /// after it are asked for their first reports only. From there on it looks for the first
    /// report of the time itself, but not through too many.
    ///
    /// A mark counts only if none of a later time is at a lower place: whoever made it had a
    /// clock that was behind.
    pub(crate) async fn try_position_at(
        &self,
        moment: Timestamp,
    ) -> Result<LogPosition, sqlx::Error> {
        let marked_at = moment.plus_micros(-CLOCKS_AGREE_TO_MICROS);
        let moment = moment.to_date_time();
        // `least` and `greatest` pass over the null of no such mark or report.
        let position = sqlx::query_scalar!(
            r#"with marked as (
                   select max(position) as position
                   from log_marks
                   where at <= $3
                       and position <= coalesce(
                           (
                               select min(position)
                               from log_marks
                               where at > $3
                           ),
                           9223372036854775807
                       )
               ),
               bounds as materialized (
                   select
                       ((pg_snapshot_xmin(pg_current_snapshot())::text::bigint + xact_offset)
                           << 16) - 1 as head,
                       greatest(
                           pruned_through,
                           (select position from marked),
                           least(
                               ((pg_snapshot_xmin(pg_current_snapshot())::text::bigint
                                   + xact_offset) << 16) - 1,
                               (select id - 1 from reports where arrived_at >= $2 order by id limit 1)
                           )
                       ) as start
                   from report_log
               )
               select greatest(
                   start,
                   least(
                       head,
                       (
                           select case when arrived_at >= $1 then id - 1 else id end
                           from (
                               select id, arrived_at, row_number() over (order by id) as nth
                               from reports
                               where id > (select start from bounds) and arrived_at >= $2
                               order by id
                               limit $4
                           ) as front
                           where arrived_at >= $1 or nth = $4
                           order by front.id
                           limit 1
                       )
                   )
               ) as "position!"
               from bounds"#,
            moment,
            moment.replace_time(Time::MIDNIGHT),
            marked_at.to_date_time(),
            LOOKED_AT,
        )
        .fetch_one(&self.pool)
        .await;
        position.map(LogPosition)
    }
}
