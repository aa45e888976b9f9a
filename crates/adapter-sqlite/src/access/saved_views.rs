//! Saved views of the console.

use async_trait::async_trait;
use domain::saved_view::SAVED_VIEWS_MAX;
use domain::{SavedView, SavedViewId};
use ports::saved_views::SavedViewChange;
use ports::{SavedViewStore, StoreError};
use sql_rows::saved_views::SAVED_VIEWS;
use uuid::Uuid;

use crate::SqliteStore;
use crate::rows::SavedViewRow;
use crate::runtime::Query as _;

#[async_trait]
impl SavedViewStore for SqliteStore {
    async fn saved_views(&self) -> Result<Vec<SavedView>, StoreError> {
        let rows = self.saved_view_rows();
        let rows = rows
            .run(&self.runtime, "list saved views", SAVED_VIEWS)
            .await?;
        rows.into_iter().map(SavedView::try_from).collect()
    }

    async fn save_view(&self, view: &SavedView) -> Result<SavedViewChange, StoreError> {
        let saved = self.insert_view(view);
        saved.run(&self.runtime, "save view", SAVED_VIEWS).await
    }

    async fn remove_view(&self, id: SavedViewId) -> Result<Option<SavedView>, StoreError> {
        let removed = self.delete_view(id);
        let removed = removed
            .run(&self.runtime, "remove view", SAVED_VIEWS)
            .await?;
        removed.map(SavedView::try_from).transpose()
    }
}

impl SqliteStore {
    async fn saved_view_rows(&self) -> Result<Vec<SavedViewRow>, sqlx::Error> {
        sqlx::query_as!(
            SavedViewRow,
            r#"select id as "id: Uuid", name, path, created_at from saved_views order by name"#,
        )
        .fetch_all(&self.readers)
        .await
    }

    async fn insert_view(&self, view: &SavedView) -> Result<SavedViewChange, sqlx::Error> {
        let mut write = self.begin().await?;
        let count = sqlx::query_scalar!("select count(*) from saved_views")
            .fetch_one(&mut *write)
            .await?;
        let is_full = usize::try_from(count).is_ok_and(|count| count >= SAVED_VIEWS_MAX);
        let saved = sqlx::query!(
            "insert into saved_views (id, name, path, created_at)
             values (?, ?, ?, ?)
             on conflict do nothing",
            view.id.0,
            view.name.as_str(),
            view.path.as_str(),
            view.created_at.unix_micros(),
        )
        .execute(&mut *write)
        .await?;
        if saved.rows_affected() == 0 {
            write.roll_back().await;
            return Ok(SavedViewChange::Exists);
        }
        if is_full {
            write.roll_back().await;
            return Ok(SavedViewChange::Full);
        }
        write.commit().await?;
        Ok(SavedViewChange::Done)
    }

    async fn delete_view(&self, id: SavedViewId) -> Result<Option<SavedViewRow>, sqlx::Error> {
        let mut write = self.begin().await?;
        let removed = sqlx::query_as!(
            SavedViewRow,
            r#"delete from saved_views where id = ?
               returning id as "id: Uuid", name, path, created_at"#,
            id.0,
        )
        .fetch_optional(&mut *write)
        .await?;
        write.commit().await?;
        Ok(removed)
    }
}
