//! Saved views of the console.

use async_trait::async_trait;
use domain::saved_view::SAVED_VIEWS_MAX;
use domain::{SavedView, SavedViewId};
use ports::saved_views::SavedViewChange;
use ports::{SavedViewStore, StoreError};

use super::MemoryStore;

#[async_trait]
impl SavedViewStore for MemoryStore {
    async fn saved_views(&self) -> Result<Vec<SavedView>, StoreError> {
        Ok(self.open()?.saved_views.values().cloned().collect())
    }

    async fn save_view(&self, view: &SavedView) -> Result<SavedViewChange, StoreError> {
        let views = &mut self.open()?.saved_views;
        let exists = |other: &SavedView| other.id == view.id || other.name == view.name;
        if views.values().any(exists) {
            return Ok(SavedViewChange::Exists);
        }
        if views.len() >= SAVED_VIEWS_MAX {
            return Ok(SavedViewChange::Full);
        }
        views.insert(view.name.clone(), view.clone());
        Ok(SavedViewChange::Done)
    }

    async fn remove_view(&self, id: SavedViewId) -> Result<Option<SavedView>, StoreError> {
        let views = &mut self.open()?.saved_views;
        let found = views.values().find(|view| view.id == id).cloned();
        if let Some(view) = &found {
            views.remove(&view.name);
        }
        Ok(found)
    }
}
