//! Lists rejections: reports that were refused.

use std::sync::Arc;

use domain::page::{Page, PageSize};
use domain::{ChannelId, Timestamp};
use ports::rejections::StoredRejection;
use ports::{ChannelWithCredentials, RejectionStore, StoreError};

use crate::channels::warnings::channel_warnings;

/// Lists rejections.
pub struct ListRejections {
    store: Arc<dyn RejectionStore>,
}

impl ListRejections {
    /// Lists the rejections of a store.
    #[must_use]
    pub fn new(store: Arc<dyn RejectionStore>) -> Self {
        Self { store }
    }

    /// Returns warnings about settings of a channel that seem to lose reports at `now`, from its
    /// last rejections.
    pub async fn warnings(
        &self,
        found: &ChannelWithCredentials,
        now: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        let id = &found.channel.id;
        let last = self.store.list(Some(id), None, PageSize::default()).await?;
        Ok(channel_warnings(found, &last.items, now))
    }

    /// Returns one page, the newest first.
    pub async fn run(
        &self,
        channel: Option<&ChannelId>,
        after: Option<i64>,
        size: PageSize,
    ) -> Result<Page<StoredRejection, i64>, StoreError> {
        self.store.list(channel, after, size).await
    }
}
