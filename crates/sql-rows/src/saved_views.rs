//! Rows of saved views.

use domain::{ConsolePath, SavedView, SavedViewId, SavedViewName};
use ports::StoreError;
use uuid::Uuid;

use crate::error::corrupt;
use crate::values::{StoredTime, time};

/// The table of saved views.
pub const SAVED_VIEWS: &str = "saved_views";

/// A row of `saved_views`.
#[derive(Debug)]
#[expect(missing_docs, reason = "columns of the table")]
pub struct SavedViewRow<T> {
    pub id: Uuid,
    pub name: String,
    pub path: String,
    pub created_at: T,
}

impl<T: StoredTime> TryFrom<SavedViewRow<T>> for SavedView {
    type Error = StoreError;

    fn try_from(row: SavedViewRow<T>) -> Result<Self, StoreError> {
        Ok(Self {
            id: SavedViewId(row.id),
            name: SavedViewName::parse(&row.name).map_err(corrupt(SAVED_VIEWS, "name"))?,
            path: ConsolePath::parse(&row.path).map_err(corrupt(SAVED_VIEWS, "path"))?,
            created_at: time(row.created_at, SAVED_VIEWS, "created_at")?,
        })
    }
}
