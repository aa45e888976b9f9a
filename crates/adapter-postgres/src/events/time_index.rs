//! Seeking the log by time.
//!
//! An index on arrival times would be written with every report, and a binary search on ids does
//! not work: reports that were drained from a journal have old times and new ids. Instead, the
//! end of the log is stored about once a minute: what arrives later comes after that entry,
//! however late it is recorded.

use domain::{LogPosition, Timestamp};
use ports::StoreError;
use time::Time;

use crate::PostgresStore;
use crate::runtime::Query as _;

const TIME_INDEX: &str = "log_time_index";

/// How far ahead the clock of a receiver may be.
const MAX_CLOCK_SKEW_MICROS: i64 = 60 * 1_000_000;

/// The least distance of two entries, whichever processes add them.
const MIN_ENTRY_DISTANCE_MICROS: i64 = 50 * 1_000_000;

/// How many reports after an entry are examined for the first one of a time.
const MAX_EXAMINED: i64 = 100_000;

impl PostgresStore {
    /// Adds the entry that the log ended at or before `head` at this time, so the caller reads
    /// the head first and the clock then. Does nothing if no report was recorded since the last
    /// entry, or if that is too recent.
    pub async fn add_time_index_entry(
        &self,
        at: Timestamp,
        head: LogPosition,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "with
             -- Entries that point into the pruned part of the log.
             pruned as (
                 delete from log_time_index
                 where position < (select pruned_through from report_log)
             )
             insert into log_time_index (at, position)
             select $1, $2
             where not exists (
                     select from log_time_index where at > $3 and at <= $1
                 )
                 and (select max(id) from reports)
                     > coalesce((select max(position) from log_time_index where at <= $1), 0)
             on conflict (at) do nothing",
            at.to_date_time(),
            head.0,
            at.plus_micros(-MIN_ENTRY_DISTANCE_MICROS).to_date_time(),
        )
        .execute(&self.pool)
        .run(&self.runtime, "add time index entry", TIME_INDEX)
        .await
        .map(drop)
    }

    /// Returns a position before every report that arrived at `moment` or later: from the latest
    /// suitable entry on, the first such report, but examining a limited number. Without an
    /// entry it starts at the first report of the day's partition and those after it.
    ///
    /// An entry counts only if none of a later time has a lower position: the clock that made it
    /// was behind.
    pub(crate) async fn seek(&self, moment: Timestamp) -> Result<LogPosition, sqlx::Error> {
        let entry_before = moment.plus_micros(-MAX_CLOCK_SKEW_MICROS).to_date_time();
        let moment = moment.to_date_time();
        // `least` and `greatest` ignore the null of a missing entry or report.
        let position = sqlx::query_scalar!(
            r#"with
               -- The latest entry before the time, not above any later entry.
               entry as (
                   select max(position) as position
                   from log_time_index
                   where at <= $3
                       and position <= coalesce(
                           (select min(position) from log_time_index where at > $3), $5
                       )
               ),
               -- Where the log ends, and where the search starts.
               bounds as materialized (
                   select
                       first_undecided_report_id(xact_offset) - 1 as head,
                       greatest(
                           pruned_through,
                           (select position from entry),
                           least(
                               first_undecided_report_id(xact_offset) - 1,
                               (select id - 1 from reports where arrived_at >= $2 order by id limit 1)
                           )
                       ) as start
                   from report_log
               )
               -- Just before the first report of the time, or at the last one examined.
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
                           ) as examined
                           where arrived_at >= $1 or nth = $4
                           order by examined.id
                           limit 1
                       )
                   )
               ) as "position!"
               from bounds"#,
            moment,
            moment.replace_time(Time::MIDNIGHT),
            entry_before,
            MAX_EXAMINED,
            i64::MAX,
        )
        .fetch_one(&self.pool)
        .await;
        position.map(LogPosition)
    }
}
