//! How far readers of the log have got.

use domain::LogPosition;
use ports::StoreError;
use ports::event_log::Cursor;

use crate::SqliteStore;
use crate::error::store_error;
use crate::runtime::Operation as _;

const CURSORS: &str = "log_cursors";

impl SqliteStore {
    pub(crate) async fn cursor(&self, name: &str) -> Result<Option<LogPosition>, StoreError> {
        let position = sqlx::query_scalar!("select position from log_cursors where name = ?", name)
            .fetch_optional(&self.readers)
            .run_in(&self.runtime)
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
        let moved = self.try_advance(name, from, to).await;
        moved.map_err(store_error(CURSORS))
    }

    pub(crate) async fn remove_cursor(&self, name: &str) -> Result<(), StoreError> {
        self.try_forget(name).await.map_err(store_error(CURSORS))
    }

    pub(crate) async fn cursors(&self) -> Result<Vec<Cursor>, StoreError> {
        let rows = sqlx::query!("select name, position from log_cursors order by name")
            .fetch_all(&self.readers)
            .run_in(&self.runtime)
            .await
            .map_err(store_error(CURSORS))?;
        let cursors = rows.into_iter().map(|row| Cursor {
            name: row.name,
            position: LogPosition(row.position),
        });
        Ok(cursors.collect())
    }
}

impl SqliteStore {
    async fn try_advance(
        &self,
        name: &str,
        from: Option<LogPosition>,
        to: LogPosition,
    ) -> Result<bool, sqlx::Error> {
        let mut write = self.begin().await?;
        let moved = if let Some(from) = from {
            sqlx::query!(
                "update log_cursors set position = ?3 where name = ?1 and position = ?2",
                name,
                from.0,
                to.0,
            )
            .execute(&mut *write)
            .await?
        } else {
            sqlx::query!(
                "insert into log_cursors (name, position) values (?, ?)
                 on conflict (name) do nothing",
                name,
                to.0,
            )
            .execute(&mut *write)
            .await?
        };
        write.commit().await?;
        Ok(moved.rows_affected() > 0)
    }

    async fn try_forget(&self, name: &str) -> Result<(), sqlx::Error> {
        let mut write = self.begin().await?;
        sqlx::query!("delete from log_cursors where name = ?", name)
            .execute(&mut *write)
            .await?;
        write.commit().await
    }
}
