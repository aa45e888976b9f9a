//! Who was forgotten: that it was done, and not of whom.

use std::sync::Arc;

use domain::page::{Page, PageSize};
use domain::{Erasure, ErasureId};
use ports::{Erasures, StoreError};

/// Lists erasures.
pub struct ListErasures {
    erasures: Arc<dyn Erasures>,
}

impl ListErasures {
    /// Lists what this store has kept of erasures.
    #[must_use]
    pub fn new(erasures: Arc<dyn Erasures>) -> Self {
        Self { erasures }
    }

    /// A page of them, the latest first.
    pub async fn run(
        &self,
        after: Option<ErasureId>,
        size: PageSize,
    ) -> Result<Page<Erasure, ErasureId>, StoreError> {
        self.erasures.list(after, size).await
    }

    /// One of them.
    pub async fn find(&self, id: ErasureId) -> Result<Option<Erasure>, StoreError> {
        self.erasures.find(id).await
    }
}
