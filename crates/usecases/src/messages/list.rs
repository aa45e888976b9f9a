//! Lists messages.

use std::num::NonZeroU32;
use std::sync::Arc;

use domain::Message;
use domain::crypto::ServerSecret;
use domain::page::{MessageCursor, MessageFilter, Page, PageSize, ScanLimit};
use ports::{ReportStore, Statistics, StoreError};

/// How many messages one page examines. PostgreSQL reads so many in about a tenth of a second when
/// they are not in memory.
const SCAN: ScanLimit = ScanLimit(NonZeroU32::new(10_000).unwrap());

/// Lists messages.
pub struct ListMessages {
    store: Arc<dyn ReportStore>,
    statistics: Arc<dyn Statistics>,
    secret: ServerSecret,
}

impl ListMessages {
    /// Lists the messages of a store.
    #[must_use]
    pub fn new(
        store: Arc<dyn ReportStore>,
        statistics: Arc<dyn Statistics>,
        secret: ServerSecret,
    ) -> Self {
        Self {
            store,
            statistics,
            secret,
        }
    }

    /// Returns one page of the messages that `filter` passes, the newest first. Messages that
    /// failed are selected by failure from the list that the statistics maintain, and those of a
    /// recipient from the index of recipients: one that failed, or began, a moment ago may be
    /// missing.
    ///
    /// A page ends after 10,000 messages that were examined, unless it selects by recipient: it may
    /// have fewer items than `size`, or none, and still have a next page.
    pub async fn run(
        &self,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: PageSize,
    ) -> Result<Page<Message, MessageCursor>, StoreError> {
        if let Some(recipient) = &filter.recipient {
            let hash = self.secret.recipient_hash(recipient);
            return self.statistics.messages_to(hash, filter, after, size).await;
        }
        if filter.selects_problems() {
            return self
                .statistics
                .problem_messages(filter, after, size, SCAN)
                .await;
        }
        self.store.messages(filter, after, size, SCAN).await
    }
}
