//! The log of refused reports.

use async_trait::async_trait;
use domain::{
    ChannelId, Rejection,
    page::{Page, PageSize},
};

use crate::StoreError;

/// Keeps the last [`REJECTIONS_KEPT`](domain::rejection::REJECTIONS_KEPT)
/// rejections of each channel.
#[async_trait]
pub trait RejectionStore: Send + Sync {
    /// Adds rejections in one step, in their order, and drops the oldest ones of their channels
    /// beyond the limit. Adding the same rejection twice keeps two. If the store refuses one of
    /// them it keeps none.
    async fn keep(&self, rejections: &[Rejection]) -> Result<(), StoreError>;

    /// The rejections of one channel or of all, from the newest to the oldest.
    /// `after` is the [`KeptRejection::id`] of the last one of the page before.
    async fn list(
        &self,
        channel: Option<&ChannelId>,
        after: Option<i64>,
        size: PageSize,
    ) -> Result<Page<KeptRejection, i64>, StoreError>;
}

/// A rejection as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRejection {
    /// Its place in the log; later ones have greater ones.
    pub id: i64,
    /// What was refused and why.
    pub rejection: Rejection,
}
