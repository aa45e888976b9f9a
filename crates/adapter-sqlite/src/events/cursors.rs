//! How far readers of the log have got.

use async_trait::async_trait;
use domain::LogPosition;
use ports::event_log::Cursor;
use ports::{LogCursors, StoreError};

use crate::SqliteStore;
use crate::error::store_error;

const CURSORS: &str = "log_cursors";

#[async_trait]
impl LogCursors for SqliteStore {
    async fn load(&self, name: &str) -> Result<Option<LogPosition>, StoreError> {
        let position = sqlx::query_scalar!("select position from log_cursors where name = ?", name)
            .fetch_optional(&self.readers)
            .await
            .map_err(store_error(CURSORS))?;
        Ok(position.map(LogPosition))
    }

    async fn advance(
        &self,
        name: &str,
        from: Option<LogPosition>,
        to: LogPosition,
    ) -> Result<bool, StoreError> {
        let moved = self.try_advance(name, from, to).await;
        moved.map_err(store_error(CURSORS))
    }

    async fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.try_forget(name).await.map_err(store_error(CURSORS))
    }

    async fn cursors(&self) -> Result<Vec<Cursor>, StoreError> {
        let rows = sqlx::query!("select name, position from log_cursors order by name")
            .fetch_all(&self.readers)
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
