//! Statements about the days of statistics: their time zone, and days computed from quarters of an
//! hour.

use domain::Timestamp;
use domain::statistics::Interval;
use ports::StoreError;
use ports::statistics::{MadeDay, StatisticsDays};
use sql_rows::statistics::{length, made_day};

use crate::SqliteStore;
use crate::error::store_error;
use crate::rows::{CountsRow, DaysRow};
use crate::statistics::write::add;

const STATISTICS: &str = "statistics";
const POSITION: &str = "statistics_position";

impl SqliteStore {
    pub(super) async fn days_row(&self) -> Result<DaysRow, sqlx::Error> {
        sqlx::query_as!(
            DaysRow,
            "select zone, days_since, next_day from statistics_position"
        )
        .fetch_one(&self.readers)
        .await
    }

    pub(super) async fn try_interval_bounds(
        &self,
        interval: Interval,
    ) -> Result<(Option<i64>, Option<i64>), sqlx::Error> {
        let length = length(interval);
        // Two queries, because only a single minimum or maximum is read from the end of the key.
        let bounds = sqlx::query!(
            r#"select
                   (select min(starts_at) from statistics where length = ?1) as "first: i64",
                   (select max(starts_at) from statistics where length = ?1) as "last: i64""#,
            length,
        )
        .fetch_one(&self.readers)
        .await?;
        Ok((bounds.first, bounds.last))
    }

    pub(super) async fn try_change_days(
        &self,
        from: Option<&StatisticsDays>,
        to: &StatisticsDays,
        made: Option<&MadeDay>,
    ) -> Result<bool, StoreError> {
        let time = |at: Option<Timestamp>| at.map(Timestamp::unix_micros);
        let mut write = self.begin().await.map_err(store_error(POSITION))?;
        let changed = sqlx::query!(
            "update statistics_position
             set zone = ?, days_since = ?, next_day = ?
             where zone is ? and days_since is ? and next_day is ?",
            to.zone,
            time(to.since),
            time(to.next),
            from.map(|from| from.zone.as_str()),
            time(from.and_then(|from| from.since)),
            time(from.and_then(|from| from.next)),
        )
        .execute(&mut *write)
        .await
        .map_err(store_error(POSITION))?;
        if changed.rows_affected() == 0 {
            write.roll_back().await;
            return Ok(false);
        }
        if let Some(day) = made {
            sqlx::query!(
                "delete from statistics
                 where length = 'day' and starts_at >= ? and starts_at < ?",
                day.replaces_from.unix_micros(),
                day.until.unix_micros(),
            )
            .execute(&mut *write)
            .await
            .map_err(store_error(STATISTICS))?;
            let quarters = sqlx::query_as!(
                CountsRow,
                "select starts_at, channel_id, counts
                 from statistics
                 where length = 'quarter_hour' and starts_at >= ? and starts_at < ?",
                day.start.unix_micros(),
                day.until.unix_micros(),
            )
            .fetch_all(&mut *write)
            .await
            .map_err(store_error(STATISTICS))?;
            add(&mut write, &made_day(day, quarters)?).await?;
        }
        write.commit().await.map_err(store_error(POSITION))?;
        Ok(true)
    }
}
