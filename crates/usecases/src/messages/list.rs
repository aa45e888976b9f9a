//! Lists messages.

use std::sync::Arc;

use domain::Message;
use domain::page::{MessageCursor, MessageFilter, Page, PageSize};
use ports::{ReportStore, StoreError};

/// Lists messages.
pub struct ListMessages {
    store: Arc<dyn ReportStore>,
}

impl ListMessages {
    /// Lists the messages of a store.
    #[must_use]
    pub fn new(store: Arc<dyn ReportStore>) -> Self {
        Self { store }
    }

    /// Returns one page of the messages that `filter` passes, the newest first.
    pub async fn run(
        &self,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: PageSize,
    ) -> Result<Page<Message, MessageCursor>, StoreError> {
        self.store.messages(filter, after, size).await
    }
}
