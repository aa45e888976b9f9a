//! Reading and changing counts.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use domain::statistics::Interval;
use domain::{ChannelId, LogPosition, Timestamp};
use ports::StoreError;
use ports::statistics::{CountedBatch, IntervalCounts, LogBegins, StatisticsRange, StatisticsStep};
use sql_rows::corrupt;
use sql_rows::statistics::{from_json, length, to_json};
use sqlx::SqliteConnection;

use crate::SqliteStore;
use crate::error::store_error;
use crate::json;
use crate::rows::{ArrivalRow, CountsRow};
use crate::runtime::traced;
use crate::statistics::problems::list_problems;
use crate::statistics::recipients::list_recipients;

const STATISTICS: &str = "statistics";
const PROBLEMS: &str = "problem_messages";
const RECIPIENTS: &str = "recipients_by_day";
const ARRIVALS: &str = "statistics_arrivals";

impl SqliteStore {
    pub(super) async fn in_store_runtime<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        traced(&self.runtime, operation, Box::pin(work)).await
    }

    pub(super) async fn try_statistics_position(&self) -> Result<Option<LogPosition>, sqlx::Error> {
        let position = sqlx::query_scalar!("select position from statistics_position")
            .fetch_one(&self.readers)
            .await?;
        Ok(position.map(LogPosition))
    }

    pub(super) async fn counts_rows(
        &self,
        range: &StatisticsRange,
    ) -> Result<Vec<CountsRow>, sqlx::Error> {
        let channel = range.channel.as_ref().map(ChannelId::as_str);
        sqlx::query_as!(
            CountsRow,
            "select starts_at, channel_id, counts
             from statistics
             where length = ?1 and starts_at >= ?2 and starts_at < ?3
                 and (?4 is null or channel_id = ?4)
             order by starts_at, channel_id",
            length(range.interval),
            range.from.unix_micros(),
            range.until.unix_micros(),
            channel,
        )
        .fetch_all(&self.readers)
        .await
    }

    pub(super) async fn arrival_rows(
        &self,
        channels: &[ChannelId],
    ) -> Result<Vec<ArrivalRow>, sqlx::Error> {
        let channels = json::array(channels.iter().map(ChannelId::as_str));
        sqlx::query_as!(
            ArrivalRow,
            "select channel_id, arrived_at from statistics_arrivals
             where channel_id in (select value from json_each(?))",
            channels,
        )
        .fetch_all(&self.readers)
        .await
    }

    pub(super) async fn try_prune_statistics(
        &self,
        interval: Interval,
        before: Timestamp,
        limit: NonZeroU16,
    ) -> Result<u64, sqlx::Error> {
        let mut write = self.begin().await?;
        let pruned = sqlx::query!(
            "delete from statistics where (length, starts_at, channel_id) in (
                 select length, starts_at, channel_id
                 from statistics
                 where length = ? and starts_at < ?
                 limit ?
             )",
            length(interval),
            before.unix_micros(),
            limit.get(),
        )
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(pruned.rows_affected())
    }

    pub(super) async fn try_reset_statistics(
        &self,
        log_begins: Option<LogBegins>,
    ) -> Result<(), sqlx::Error> {
        let quarter_hour = log_begins.map(|begins| begins.quarter_hour.unix_micros());
        let day = log_begins.map(|begins| begins.day.unix_micros());
        let mut write = self.begin().await?;
        sqlx::query!("update statistics_position set position = null")
            .execute(&mut *write)
            .await?;
        sqlx::query!("delete from statistics_arrivals")
            .execute(&mut *write)
            .await?;
        sqlx::query!(
            "update statistics
             set counts = json_remove(
                 counts, '$.messages', '$.errors', '$.time_to_delivered', '$.time_to_read',
                 case
                     when starts_at < case length when 'day' then ?2 else ?1 end
                     then '$.none'
                     else '$.reports'
                 end,
                 case
                     when starts_at < case length when 'day' then ?2 else ?1 end
                     then '$.none'
                     else '$.gaps'
                 end
             )",
            quarter_hour,
            day,
        )
        .execute(&mut *write)
        .await?;
        write.commit().await
    }

    pub(super) async fn try_apply_step(
        &self,
        from: Option<LogPosition>,
        step: &StatisticsStep,
    ) -> Result<bool, StoreError> {
        let mut write = self.begin().await.map_err(store_error(STATISTICS))?;
        let moved = sqlx::query!(
            "update statistics_position
             set position = ?2
             where position is ?1 and coalesce(zone, ?3) = ?3 and next_day is null
                 and erasures = ?4",
            from.map(|from| from.0),
            step.position.0,
            step.zone,
            step.erasures,
        )
        .execute(&mut *write)
        .await
        .map_err(store_error(STATISTICS))?;
        if moved.rows_affected() == 0 {
            write.roll_back().await;
            return Ok(false);
        }
        add(&mut write, &step.counts).await?;
        set_last_arrivals(&mut write, &step.last_arrivals)
            .await
            .map_err(store_error(ARRIVALS))?;
        list_problems(&mut write, &step.problems)
            .await
            .map_err(store_error(PROBLEMS))?;
        list_recipients(&mut write, &step.recipients)
            .await
            .map_err(store_error(RECIPIENTS))?;
        write.commit().await.map_err(store_error(STATISTICS))?;
        Ok(true)
    }

    pub(super) async fn try_add_batch(&self, batch: &CountedBatch) -> Result<bool, StoreError> {
        let mut write = self.begin().await.map_err(store_error(STATISTICS))?;
        let is_new = is_new_batch(&mut write, batch).await;
        if !is_new.map_err(store_error(STATISTICS))? {
            write.roll_back().await;
            return Ok(false);
        }
        add(&mut write, &batch.counts).await?;
        write.commit().await.map_err(store_error(STATISTICS))?;
        Ok(true)
    }

    pub(super) async fn try_add_counts(&self, changes: &IntervalCounts) -> Result<(), StoreError> {
        let mut write = self.begin().await.map_err(store_error(STATISTICS))?;
        add(&mut write, changes).await?;
        write.commit().await.map_err(store_error(STATISTICS))
    }
}

/// Notes a batch of a writer. Returns `false` if it, or a later one, was noted before.
async fn is_new_batch(
    connection: &mut SqliteConnection,
    batch: &CountedBatch,
) -> Result<bool, sqlx::Error> {
    sqlx::query!(
        "delete from statistics_writers where taken_at < ?",
        batch.forget_before().unix_micros(),
    )
    .execute(&mut *connection)
    .await?;
    let noted = sqlx::query!(
        "insert into statistics_writers (writer, number, taken_at) values (?, ?, ?)
         on conflict (writer) do update
             set number = excluded.number, taken_at = excluded.taken_at
             where statistics_writers.number < excluded.number",
        batch.writer,
        batch.number,
        batch.taken_at.unix_micros(),
    )
    .execute(connection)
    .await?;
    Ok(noted.rows_affected() > 0)
}

async fn set_last_arrivals(
    connection: &mut SqliteConnection,
    arrivals: &BTreeMap<ChannelId, Timestamp>,
) -> Result<(), sqlx::Error> {
    let arrivals = arrivals.iter();
    let rows = json::array(arrivals.map(|(channel, at)| (channel.as_str(), at.unix_micros())));
    sqlx::query!(
        "insert into statistics_arrivals (channel_id, arrived_at)
         select value ->> 0, value ->> 1 from json_each(?) where true
         on conflict (channel_id) do update set arrived_at = excluded.arrived_at",
        rows,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Adds to the counts of intervals, with two statements, however many intervals there are.
pub(super) async fn add(
    connection: &mut SqliteConnection,
    changes: &IntervalCounts,
) -> Result<(), StoreError> {
    let keys: Vec<_> = changes
        .keys()
        .map(|(interval, start, channel)| {
            (length(*interval), start.unix_micros(), channel.as_str())
        })
        .collect();
    // Left joins keep the order of the keys: the list is read from its beginning.
    let stored = sqlx::query_scalar!(
        r#"select statistics.counts as "counts?"
           from json_each(?) as wanted
           left join statistics
               on statistics.length = wanted.value ->> 0
               and statistics.starts_at = wanted.value ->> 1
               and statistics.channel_id = wanted.value ->> 2
           order by wanted.key"#,
        json::array(&keys),
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(store_error(STATISTICS))?;
    let mut rows = Vec::with_capacity(keys.len());
    for ((key, change), stored) in keys.iter().zip(changes.values()).zip(stored) {
        let stored = stored.as_deref().map(from_json).transpose();
        let mut counts = stored
            .map_err(corrupt(STATISTICS, "counts"))?
            .unwrap_or_default();
        counts.add(change, 1);
        rows.push((key, to_json(&counts)?));
    }
    sqlx::query!(
        "insert into statistics (length, starts_at, channel_id, counts)
         select value ->> '$[0][0]', value ->> '$[0][1]', value ->> '$[0][2]', value ->> 1
         from json_each(?) where true
         on conflict (length, starts_at, channel_id) do update set counts = excluded.counts",
        json::array(&rows),
    )
    .execute(connection)
    .await
    .map_err(store_error(STATISTICS))
    .map(drop)
}
