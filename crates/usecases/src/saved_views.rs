//! Saved views of the console.

use std::sync::Arc;

use domain::{ConsolePath, SavedView, SavedViewId, SavedViewName};
use ports::saved_views::SavedViewChange;
use ports::{Environment, SavedViewStore, StoreError};

/// Lists, saves and removes views.
pub struct SavedViews {
    store: Arc<dyn SavedViewStore>,
    environment: Arc<dyn Environment>,
}

impl SavedViews {
    /// Manages the views of a store.
    #[must_use]
    pub fn new(store: Arc<dyn SavedViewStore>, environment: Arc<dyn Environment>) -> Self {
        Self { store, environment }
    }

    /// Returns all views, by name.
    pub async fn list(&self) -> Result<Vec<SavedView>, StoreError> {
        self.store.saved_views().await
    }

    /// Saves a page under a name.
    pub async fn save(
        &self,
        name: SavedViewName,
        path: ConsolePath,
    ) -> Result<SavedViewChange, StoreError> {
        let view = SavedView {
            id: SavedViewId(self.environment.uuid()),
            name,
            path,
            created_at: self.environment.now(),
        };
        self.store.save_view(&view).await
    }

    /// Removes a view and returns it; `None` if there is none of this id.
    pub async fn remove(&self, id: SavedViewId) -> Result<Option<SavedView>, StoreError> {
        self.store.remove_view(id).await
    }
}
