//! The reports that were refused.

use std::sync::Arc;

use domain::page::{Page, PageSize};
use domain::{ChannelId, Timestamp};
use ports::rejections::KeptRejection;
use ports::{ChannelWithCredentials, RejectionStore, StoreError};

use crate::channels::warnings::channel_warnings;

/// Lists rejections.
pub struct ListRejections {
    log: Arc<dyn RejectionStore>,
}

impl ListRejections {
    /// Lists rejections of a log.
    #[must_use]
    pub fn new(log: Arc<dyn RejectionStore>) -> Self {
        Self { log }
    }

    /// What settings of a channel seem to cost it reports at `now`, by its last rejections.
    pub async fn warnings(
        &self,
        found: &ChannelWithCredentials,
        now: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        let id = &found.channel.id;
        let last = self.log.list(Some(id), None, PageSize::default()).await?;
        Ok(channel_warnings(found, &last.items, now))
    }

    /// One page, the newest first.
    pub async fn run(
        &self,
        channel: Option<&ChannelId>,
        after: Option<i64>,
        size: PageSize,
    ) -> Result<Page<KeptRejection, i64>, StoreError> {
        self.log.list(channel, after, size).await
    }
}
