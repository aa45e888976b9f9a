//! Statements about the days of statistics: their time zone, and days computed from quarters of an
//! hour.

use domain::Timestamp;
use domain::statistics::Interval;
use ports::StoreError;
use ports::statistics::{MadeDay, StatisticsDays};
use sql_rows::statistics::{length, made_day};
use time::OffsetDateTime;

use crate::PostgresStore;
use crate::error::store_error;
use crate::rows::{CountsRow, DaysRow};
use crate::statistics::write::add;

const STATISTICS: &str = "statistics";
const POSITION: &str = "statistics_position";

impl PostgresStore {
    pub(super) async fn days_row(&self) -> Result<DaysRow, sqlx::Error> {
        sqlx::query_as!(
            DaysRow,
            "select zone, days_since, next_day from statistics_position"
        )
        .fetch_one(&self.pool)
        .await
    }

    pub(super) async fn try_interval_bounds(
        &self,
        interval: Interval,
    ) -> Result<(Option<OffsetDateTime>, Option<OffsetDateTime>), sqlx::Error> {
        let bounds = sqlx::query!(
            "select min(starts_at) as first, max(starts_at) as last
             from statistics where length = $1",
            length(interval),
        )
        .fetch_one(&self.pool)
        .await?;
        Ok((bounds.first, bounds.last))
    }

    pub(super) async fn try_change_days(
        &self,
        from: Option<&StatisticsDays>,
        to: &StatisticsDays,
        made: Option<&MadeDay>,
    ) -> Result<bool, StoreError> {
        let time = |at: Option<Timestamp>| at.map(Timestamp::to_date_time);
        let begun = self.pool.begin().await;
        let mut transaction = begun.map_err(store_error(POSITION))?;
        let changed = sqlx::query!(
            "update statistics_position
             set zone = $1, days_since = $2, next_day = $3
             where zone is not distinct from $4 and days_since is not distinct from $5
                 and next_day is not distinct from $6",
            to.zone,
            time(to.since),
            time(to.next),
            from.map(|from| from.zone.as_str()),
            time(from.and_then(|from| from.since)),
            time(from.and_then(|from| from.next)),
        )
        .execute(&mut *transaction)
        .await
        .map_err(store_error(POSITION))?;
        if changed.rows_affected() == 0 {
            return Ok(false);
        }
        if let Some(day) = made {
            sqlx::query!(
                "delete from statistics
                 where length = 'day' and starts_at >= $1 and starts_at < $2",
                day.replaces_from.to_date_time(),
                day.until.to_date_time(),
            )
            .execute(&mut *transaction)
            .await
            .map_err(store_error(STATISTICS))?;
            let quarters = sqlx::query_as!(
                CountsRow,
                r#"select starts_at, channel_id, counts::text as "counts!"
                   from statistics
                   where length = 'quarter_hour' and starts_at >= $1 and starts_at < $2"#,
                day.start.to_date_time(),
                day.until.to_date_time(),
            )
            .fetch_all(&mut *transaction)
            .await
            .map_err(store_error(STATISTICS))?;
            add(&mut transaction, &made_day(day, quarters)?).await?;
        }
        let committed = transaction.commit().await;
        committed.map_err(store_error(POSITION))?;
        Ok(true)
    }
}
