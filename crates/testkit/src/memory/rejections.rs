//! The log of refused reports.

use async_trait::async_trait;
use domain::page::{Page, PageSize};
use domain::rejection::REJECTIONS_KEPT;
use domain::{ChannelId, Rejection};
use ports::rejections::StoredRejection;
use ports::{RejectionStore, StoreError};

use super::MemoryStore;

#[derive(Debug, Default)]
pub(super) struct Rejections {
    /// Oldest first.
    kept: Vec<StoredRejection>,
    last_id: i64,
}

#[async_trait]
impl RejectionStore for MemoryStore {
    async fn store_rejections(&self, rejections: &[Rejection]) -> Result<(), StoreError> {
        let mut data = self.open()?;
        data.store_rejection_calls += 1;
        let log = &mut data.rejections;
        for rejection in rejections {
            log.last_id += 1;
            log.kept.push(StoredRejection {
                id: log.last_id,
                rejection: rejection.clone(),
            });
            let of_channel = |kept: &StoredRejection| kept.rejection.channel == rejection.channel;
            let count = log.kept.iter().filter(|kept| of_channel(kept)).count();
            if count > REJECTIONS_KEPT as usize
                && let Some(oldest) = log.kept.iter().position(of_channel)
            {
                log.kept.remove(oldest);
            }
        }
        Ok(())
    }

    async fn list(
        &self,
        channel: Option<&ChannelId>,
        after: Option<i64>,
        size: PageSize,
    ) -> Result<Page<StoredRejection, i64>, StoreError> {
        let data = self.open()?;
        let listed = data.rejections.kept.iter().rev();
        let listed = listed
            .filter(|kept| channel.is_none_or(|channel| kept.rejection.channel == *channel))
            .filter(|kept| after.is_none_or(|after| kept.id < after))
            .take(usize::from(size.get()) + 1);
        Ok(Page::cut(listed.cloned().collect(), size, |kept| kept.id))
    }

    async fn rejection(&self, id: i64) -> Result<Option<StoredRejection>, StoreError> {
        let data = self.open()?;
        let mut kept = data.rejections.kept.iter();
        Ok(kept.find(|kept| kept.id == id).cloned())
    }
}
