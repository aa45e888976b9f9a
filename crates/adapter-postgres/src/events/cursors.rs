//! How far readers of the log have got.

use domain::LogPosition;
use ports::StoreError;
use ports::event_log::Cursor;

use crate::PostgresStore;
use crate::error::store_error;
use crate::timeout::Operation as _;

const CURSORS: &str = "log_cursors";

impl PostgresStore {
    pub(crate) async fn cursor(&self, name: &str) -> Result<Option<LogPosition>, StoreError> {
        let position =
            sqlx::query_scalar!("select position from log_cursors where name = $1", name)
                .fetch_optional(&self.pool)
                .in_time(&self.runtime)
                .await
                .map_err(store_error(CURSORS))?;
        Ok(position.map(LogPosition))
    }

    pub(crate) async fn advance_cursor(
        &self,
        name: &str,
        from: Option<LogPosition>,
        to: LogPosition,
    ) -> Result<bool, StoreError> {
        let moved = match from {
            Some(from) => {
                sqlx::query!(
                    "update log_cursors set position = $3 where name = $1 and position = $2",
                    name,
                    from.0,
                    to.0,
                )
                .execute(&self.pool)
                .in_time(&self.runtime)
                .await
            }
            None => {
                sqlx::query!(
                    "insert into log_cursors (name, position) values ($1, $2)
                     on conflict (name) do nothing",
                    name,
                    to.0,
                )
                .execute(&self.pool)
                .in_time(&self.runtime)
                .await
            }
        };
        Ok(moved.map_err(store_error(CURSORS))?.rows_affected() > 0)
    }

    pub(crate) async fn remove_cursor(&self, name: &str) -> Result<(), StoreError> {
        sqlx::query!("delete from log_cursors where name = $1", name)
            .execute(&self.pool)
            .in_time(&self.runtime)
            .await
            .map(drop)
            .map_err(store_error(CURSORS))
    }

    pub(crate) async fn cursors(&self) -> Result<Vec<Cursor>, StoreError> {
        let rows = sqlx::query!("select name, position from log_cursors order by name")
            .fetch_all(&self.pool)
            .in_time(&self.runtime)
            .await
            .map_err(store_error(CURSORS))?;
        let cursors = rows.into_iter().map(|row| Cursor {
            name: row.name,
            position: LogPosition(row.position),
        });
        Ok(cursors.collect())
    }
}
