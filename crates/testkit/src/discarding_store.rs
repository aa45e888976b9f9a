//! A store that accepts all reports and records none, to measure what comes before the store.

use std::num::NonZeroU16;

use async_trait::async_trait;
use domain::page::{MessageCursor, MessageFilter, Page, PageSize, ScanLimit};
use domain::{ChannelId, Effect, Message, MessageKey, Report};
use ports::reports::MessageWithReports;
use ports::{ReportStore, StoreError};

/// Accepts all reports and records none.
#[derive(Debug, Clone, Copy, Default)]
pub struct DiscardingStore;

#[async_trait]
impl ReportStore for DiscardingStore {
    async fn record(&self, reports: &[Report]) -> Result<Vec<Effect>, StoreError> {
        Ok(vec![Effect::Advanced; reports.len()])
    }

    async fn message(&self, _: &MessageKey) -> Result<Option<MessageWithReports>, StoreError> {
        Ok(None)
    }

    async fn messages(
        &self,
        _: &MessageFilter,
        _: Option<&MessageCursor>,
        _: PageSize,
        _: ScanLimit,
    ) -> Result<Page<Message, MessageCursor>, StoreError> {
        Ok(Page {
            items: Vec::new(),
            next: None,
        })
    }

    async fn separate_messages(&self, _: &ChannelId, _: NonZeroU16) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
