//! The messages that a filter lets through.

use std::sync::Arc;

use domain::Message;
use domain::page::{MessageCursor, MessageFilter, Page, PageSize};
use ports::{ReportStore, StoreError};

/// Lists messages.
pub struct ListMessages {
    store: Arc<dyn ReportStore>,
}

impl ListMessages {
    /// Lists messages of a store.
    #[must_use]
    pub fn new(store: Arc<dyn ReportStore>) -> Self {
        Self { store }
    }

    /// One page, the message first heard of last first.
    pub async fn run(
        &self,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: PageSize,
    ) -> Result<Page<Message, MessageCursor>, StoreError> {
        self.store.messages(filter, after, size).await
    }
}
