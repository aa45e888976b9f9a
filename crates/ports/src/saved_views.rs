//! Saved views of the console.

use async_trait::async_trait;
use domain::{SavedView, SavedViewId};

use crate::StoreError;

/// The result of saving a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SavedViewChange {
    /// It is saved.
    Done,
    /// Another view has this name or id.
    Exists,
    /// There are [`SAVED_VIEWS_MAX`](domain::saved_view::SAVED_VIEWS_MAX) already.
    Full,
}

/// Stores names for pages of the console.
#[async_trait]
pub trait SavedViewStore: Send + Sync {
    /// Returns all views, by the bytes of their names.
    async fn saved_views(&self) -> Result<Vec<SavedView>, StoreError>;

    /// Saves a view. Of several with one name one is saved, in any race.
    /// [`SavedViewChange::Full`] is not exact in a race: a few more may be saved.
    async fn save_view(&self, view: &SavedView) -> Result<SavedViewChange, StoreError>;

    /// Removes a view and returns it; `None` if there is none of this id.
    async fn remove_view(&self, id: SavedViewId) -> Result<Option<SavedView>, StoreError>;
}
