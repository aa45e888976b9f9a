//! The log of refused reports.

use async_trait::async_trait;
use domain::{
    ChannelId, Rejection,
    page::{Page, PageSize},
};

use crate::StoreError;

/// Stores the last [`REJECTIONS_KEPT`](domain::rejection::REJECTIONS_KEPT) rejections of each
/// channel.
#[async_trait]
pub trait RejectionStore: Send + Sync {
    /// Adds rejections atomically, in their order, and drops the oldest ones of their channels
    /// beyond the limit. Adding the same rejection twice stores two.
    async fn store_rejections(&self, rejections: &[Rejection]) -> Result<(), StoreError>;

    /// Returns a page of the rejections of one channel or of all, the newest first. `after` is the
    /// [`StoredRejection::id`] of the last one of the page before.
    async fn list(
        &self,
        channel: Option<&ChannelId>,
        after: Option<i64>,
        size: PageSize,
    ) -> Result<Page<StoredRejection, i64>, StoreError>;

    /// Returns the rejection of an id; `None` if there is none, or not any more.
    async fn rejection(&self, id: i64) -> Result<Option<StoredRejection>, StoreError>;
}

/// A stored rejection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRejection {
    /// Later rejections have greater ids.
    pub id: i64,
    /// What was refused and why.
    pub rejection: Rejection,
}
