//! Reading and changing counts.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU16;

use domain::statistics::Interval;
use domain::{ChannelId, LogPosition, Timestamp};
use ports::StoreError;
use ports::statistics::{
    CountedBatch, IntervalCounts, LogBegins, StatisticsRange, StatisticsRow, StatisticsStep,
};
use sql_rows::statistics::{length, to_json};
use sqlx::{PgConnection, Postgres, Transaction};

use crate::PostgresStore;
use crate::error::store_error;
use crate::rows::{ArrivalRow, CountsRow};
use crate::runtime::traced;
use crate::statistics::problems::list_problems;
use crate::statistics::recipients::list_recipients;

const STATISTICS: &str = "statistics";
const PROBLEMS: &str = "problem_messages";
const RECIPIENTS: &str = "recipients_by_day";
const ARRIVALS: &str = "statistics_arrivals";

impl PostgresStore {
    pub(super) async fn in_store_runtime<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let limited = async {
            tokio::time::timeout(self.runtime.timeout, work)
                .await
                .unwrap_or_else(|_| {
                    let why = "the server does not answer";
                    Err(StoreError::Unavailable(why.into()))
                })
        };
        traced(&self.runtime, operation, Box::pin(limited)).await
    }

    pub(super) async fn try_statistics_position(&self) -> Result<Option<LogPosition>, sqlx::Error> {
        let position = sqlx::query_scalar!("select position from statistics_position")
            .fetch_one(&self.pool)
            .await?;
        Ok(position.map(LogPosition))
    }

    pub(super) async fn counts_rows(
        &self,
        range: &StatisticsRange,
    ) -> Result<Vec<CountsRow>, sqlx::Error> {
        sqlx::query_as!(
            CountsRow,
            r#"select starts_at, channel_id, counts::text as "counts!"
               from statistics
               where length = $1 and starts_at >= $2 and starts_at < $3
                   and ($4::text is null or channel_id = $4)
               order by starts_at, channel_id"#,
            length(range.interval),
            range.from.to_date_time(),
            range.until.to_date_time(),
            range.channel.as_ref().map(ChannelId::as_str),
        )
        .fetch_all(&self.pool)
        .await
    }

    pub(super) async fn arrival_rows(
        &self,
        channels: &[ChannelId],
    ) -> Result<Vec<ArrivalRow>, sqlx::Error> {
        let channels: Vec<_> = channels.iter().map(|it| it.as_str().to_owned()).collect();
        sqlx::query_as!(
            ArrivalRow,
            "select channel_id, arrived_at from statistics_arrivals where channel_id = any($1)",
            &channels,
        )
        .fetch_all(&self.pool)
        .await
    }

    pub(super) async fn try_prune_statistics(
        &self,
        interval: Interval,
        before: Timestamp,
        limit: NonZeroU16,
    ) -> Result<u64, sqlx::Error> {
        let pruned = sqlx::query!(
            "delete from statistics where (length, starts_at, channel_id) in (
                 select length, starts_at, channel_id
                 from statistics
                 where length = $1 and starts_at < $2
                 limit $3
             )",
            length(interval),
            before.to_date_time(),
            i64::from(limit.get()),
        )
        .execute(&self.pool)
        .await?;
        Ok(pruned.rows_affected())
    }

    pub(super) async fn try_reset_statistics(
        &self,
        log_begins: Option<LogBegins>,
    ) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query!("update statistics_position set position = null")
            .execute(&mut *transaction)
            .await?;
        sqlx::query!("delete from statistics_arrivals")
            .execute(&mut *transaction)
            .await?;
        sqlx::query!(
            "update statistics
             set counts = json_strip_nulls(json_build_object(
                 'requests', counts -> 'requests',
                 'reports', case
                     when starts_at < case length when 'day' then $2::timestamptz else $1 end
                     then counts -> 'reports'
                 end,
                 'gaps', case
                     when starts_at < case length when 'day' then $2::timestamptz else $1 end
                     then counts -> 'gaps'
                 end
             ))",
            log_begins.map(|begins| begins.quarter_hour.to_date_time()),
            log_begins.map(|begins| begins.day.to_date_time()),
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await
    }

    /// Begins a transaction; others that change counts wait until it ends.
    async fn begin_change(&self) -> Result<Transaction<'_, Postgres>, StoreError> {
        let begun = self.pool.begin().await;
        let mut transaction = begun.map_err(store_error(STATISTICS))?;
        sqlx::query!("select from statistics_position for update")
            .fetch_one(&mut *transaction)
            .await
            .map_err(store_error(STATISTICS))?;
        Ok(transaction)
    }

    pub(super) async fn try_apply_step(
        &self,
        from: Option<LogPosition>,
        step: &StatisticsStep,
    ) -> Result<bool, StoreError> {
        let refused = store_error(STATISTICS);
        let mut transaction = self.pool.begin().await.map_err(refused)?;
        let moved = sqlx::query!(
            "update statistics_position
             set position = $2
             where position is not distinct from $1 and coalesce(zone, $3) = $3
                 and next_day is null and erasures = $4",
            from.map(|from| from.0),
            step.position.0,
            step.zone,
            step.erasures,
        )
        .execute(&mut *transaction)
        .await
        .map_err(store_error(STATISTICS))?;
        if moved.rows_affected() == 0 {
            return Ok(false);
        }
        add(&mut transaction, &step.counts).await?;
        set_last_arrivals(&mut transaction, &step.last_arrivals)
            .await
            .map_err(store_error(ARRIVALS))?;
        list_problems(&mut transaction, &step.problems)
            .await
            .map_err(store_error(PROBLEMS))?;
        list_recipients(&mut transaction, &step.recipients)
            .await
            .map_err(store_error(RECIPIENTS))?;
        transaction
            .commit()
            .await
            .map_err(store_error(STATISTICS))?;
        Ok(true)
    }

    pub(super) async fn try_add_batch(&self, batch: &CountedBatch) -> Result<bool, StoreError> {
        let mut transaction = self.begin_change().await?;
        let is_new = is_new_batch(&mut transaction, batch).await;
        if !is_new.map_err(store_error(STATISTICS))? {
            return Ok(false);
        }
        add(&mut transaction, &batch.counts).await?;
        let committed = transaction.commit().await;
        committed.map_err(store_error(STATISTICS))?;
        Ok(true)
    }

    pub(super) async fn try_add_counts(&self, changes: &IntervalCounts) -> Result<(), StoreError> {
        let mut transaction = self.begin_change().await?;
        add(&mut transaction, changes).await?;
        transaction.commit().await.map_err(store_error(STATISTICS))
    }
}

/// Notes a batch of a writer. Returns `false` if it, or a later one, was noted before.
async fn is_new_batch(
    connection: &mut PgConnection,
    batch: &CountedBatch,
) -> Result<bool, sqlx::Error> {
    sqlx::query!(
        "delete from statistics_writers where taken_at < $1",
        batch.forget_before().to_date_time(),
    )
    .execute(&mut *connection)
    .await?;
    let noted = sqlx::query!(
        "insert into statistics_writers (writer, number, taken_at) values ($1, $2, $3)
         on conflict (writer) do update
             set number = excluded.number, taken_at = excluded.taken_at
             where statistics_writers.number < excluded.number",
        batch.writer,
        batch.number,
        batch.taken_at.to_date_time(),
    )
    .execute(connection)
    .await?;
    Ok(noted.rows_affected() > 0)
}

/// Replaces the last arrivals of channels. The caller has locked `statistics_position`.
async fn set_last_arrivals(
    connection: &mut PgConnection,
    arrivals: &BTreeMap<ChannelId, Timestamp>,
) -> Result<(), sqlx::Error> {
    let channels: Vec<_> = arrivals.keys().map(|it| it.as_str().to_owned()).collect();
    let times: Vec<_> = arrivals.values().map(|at| at.to_date_time()).collect();
    sqlx::query!(
        "insert into statistics_arrivals (channel_id, arrived_at)
         select * from unnest($1::text[], $2::timestamptz[])
         on conflict (channel_id) do update set arrived_at = excluded.arrived_at",
        &channels,
        &times,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Adds to the counts of intervals. The caller has locked `statistics_position`.
pub(super) async fn add(
    connection: &mut PgConnection,
    changes: &IntervalCounts,
) -> Result<(), StoreError> {
    let keys: Vec<_> = changes.keys().collect();
    let lengths: Vec<_> = keys.iter().map(|(it, ..)| length(*it).to_owned()).collect();
    let starts: Vec<_> = keys
        .iter()
        .map(|(_, start, _)| start.to_date_time())
        .collect();
    let channels: Vec<_> = keys.iter().map(|(.., it)| it.as_str().to_owned()).collect();
    let rows = sqlx::query!(
        r#"select length, starts_at, channel_id, counts::text as "counts!"
           from statistics
           where (length, starts_at, channel_id) in (
               select * from unnest($1::text[], $2::timestamptz[], $3::text[])
           )"#,
        &lengths,
        &starts,
        &channels,
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(store_error(STATISTICS))?;
    let mut stored = HashMap::with_capacity(rows.len());
    for row in rows {
        let counts = CountsRow {
            starts_at: row.starts_at,
            channel_id: row.channel_id,
            counts: row.counts,
        };
        let counts = StatisticsRow::try_from(counts)?;
        stored.insert((row.length, counts.start, counts.channel), counts.counts);
    }
    let mut sums = Vec::with_capacity(keys.len());
    for ((interval, start, channel), change) in changes {
        let key = (length(*interval).to_owned(), *start, channel.clone());
        let mut counts = stored.remove(&key).unwrap_or_default();
        counts.add(change, 1);
        sums.push(to_json(&counts)?);
    }
    sqlx::query!(
        "insert into statistics (length, starts_at, channel_id, counts)
         select length, starts_at, channel_id, counts::json
         from unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[])
             as changed (length, starts_at, channel_id, counts)
         on conflict (length, starts_at, channel_id) do update set counts = excluded.counts",
        &lengths,
        &starts,
        &channels,
        &sums,
    )
    .execute(connection)
    .await
    .map_err(store_error(STATISTICS))
    .map(drop)
}
