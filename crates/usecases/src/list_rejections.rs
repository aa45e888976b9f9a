//! The reports that were refused.

use std::sync::Arc;

use domain::ChannelId;
use domain::page::{Page, PageSize};
use ports::rejections::KeptRejection;
use ports::{RejectionLog, StoreError};

/// Lists rejections.
pub struct ListRejections {
    log: Arc<dyn RejectionLog>,
}

impl ListRejections {
    /// Lists rejections of a log.
    #[must_use]
    pub fn new(log: Arc<dyn RejectionLog>) -> Self {
        Self { log }
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
