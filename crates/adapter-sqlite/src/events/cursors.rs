//! Positions of named readers of the log.

use domain::LogPosition;
use ports::event_log::Cursor;

use crate::SqliteStore;

impl SqliteStore {
    pub(crate) async fn try_cursor(&self, name: &str) -> Result<Option<LogPosition>, sqlx::Error> {
        let position = sqlx::query_scalar!("select position from log_cursors where name = ?", name)
            .fetch_optional(&self.readers)
            .await?;
        Ok(position.map(LogPosition))
    }

    pub(crate) async fn try_advance_cursor(
        &self,
        name: &str,
        from: Option<LogPosition>,
        to: LogPosition,
    ) -> Result<bool, sqlx::Error> {
        let mut write = self.begin().await?;
        let moved = match from {
            Some(from) => sqlx::query!(
                "update log_cursors set position = ?3 where name = ?1 and position = ?2",
                name,
                from.0,
                to.0,
            ),
            None => sqlx::query!(
                "insert into log_cursors (name, position) values (?, ?)
                 on conflict (name) do nothing",
                name,
                to.0,
            ),
        };
        let moved = moved.execute(&mut *write).await?;
        write.commit().await?;
        Ok(moved.rows_affected() > 0)
    }

    pub(crate) async fn try_remove_cursor(&self, name: &str) -> Result<(), sqlx::Error> {
        let mut write = self.begin().await?;
        sqlx::query!("delete from log_cursors where name = ?", name)
            .execute(&mut *write)
            .await?;
        write.commit().await
    }

    pub(crate) async fn try_cursors(&self) -> Result<Vec<Cursor>, sqlx::Error> {
        let rows = sqlx::query!("select name, position from log_cursors order by name")
            .fetch_all(&self.readers)
            .await?;
        let cursors = rows.into_iter().map(|row| Cursor {
            name: row.name,
            position: LogPosition(row.position),
        });
        Ok(cursors.collect())
    }
}
