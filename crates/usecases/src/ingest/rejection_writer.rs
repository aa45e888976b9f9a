//! Group commit of rejections. Batches begin at least [`COMMIT_INTERVAL`] apart, so that rejected
//! reports use little of the store.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::Rejection;
use ports::error::error_chain;
use ports::{RejectionStore, StoreError};
use tokio::time::Instant;

/// Minimum time between two batches.
const COMMIT_INTERVAL: Duration = Duration::from_millis(200);

/// Rejections that may be queued; further ones are dropped.
const MAX_QUEUED: usize = 1_000;

/// Writes rejections in batches.
pub(crate) struct RejectionWriter {
    store: Arc<dyn RejectionStore>,
    queue: Mutex<Queue>,
    /// When the last batch began. The request that holds the lock writes all queued rejections.
    last_batch: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Queue {
    rejections: Vec<Rejection>,
    /// Rejections that have left the queue, written or not.
    dequeued: usize,
}

impl RejectionWriter {
    pub(crate) fn new(store: Arc<dyn RejectionStore>) -> Self {
        Self {
            store,
            queue: Mutex::default(),
            last_batch: tokio::sync::Mutex::default(),
        }
    }

    /// Queues rejections, and returns when they are stored, or logged as lost. If the caller is
    /// cancelled, the next one writes them.
    pub(crate) async fn write(&self, rejections: Vec<Rejection>) {
        let number = {
            let mut queue = self.queue();
            for rejection in rejections {
                if queue.rejections.len() < MAX_QUEUED {
                    queue.rejections.push(rejection);
                } else {
                    tracing::warn!(
                        channel = %rejection.channel,
                        "a rejection was dropped: too many wait for the store"
                    );
                }
            }
            queue.dequeued + queue.rejections.len()
        };
        let mut last_batch = self.last_batch.lock().await;
        if self.queue().dequeued >= number {
            return;
        }
        if let Some(last) = *last_batch {
            tokio::time::sleep_until(last + COMMIT_INTERVAL).await;
        }
        *last_batch = Some(Instant::now());
        let batch = self.queue().rejections.clone();
        self.write_batch(&batch).await;
        let mut queue = self.queue();
        queue.rejections.drain(..batch.len());
        queue.dequeued += batch.len();
    }

    async fn write_batch(&self, batch: &[Rejection]) {
        let refused = match self.store.store_rejections(batch).await {
            Ok(()) => return,
            Err(error) => error,
        };
        if batch.len() == 1 || !matches!(refused, StoreError::Rejected { .. }) {
            tracing::warn!(
                rejections = batch.len(),
                error = %error_chain(&refused),
                "rejections were not stored; they are lost"
            );
            return;
        }
        // One refused rejection must not cost the others.
        for each in batch {
            if let Err(error) = self
                .store
                .store_rejections(std::slice::from_ref(each))
                .await
            {
                tracing::warn!(
                    channel = %each.channel,
                    error = %error_chain(&error),
                    "a rejection was not stored; it is lost"
                );
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use domain::page::PageSize;
    use domain::rejection::MaskedFields;
    use domain::{IntegratorName, RejectionReason};
    use testkit::builders::{channel_id, time};
    use testkit::memory::MemoryStore;
    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test]
    async fn many_rejections_are_written_in_few_batches() {
        let store = MemoryStore::new();
        let writer = Arc::new(RejectionWriter::new(Arc::new(store.clone())));
        let mut callers = JoinSet::new();
        for number in 0..300 {
            let writer = Arc::clone(&writer);
            callers.spawn(async move {
                let rejection = Rejection {
                    arrived_at: time(number),
                    channel: channel_id("1"),
                    integrator: IntegratorName::parse("twilio").unwrap(),
                    reason: RejectionReason::ChannelDisabled,
                    detail: String::new(),
                    fields: MaskedFields::default(),
                    sender: None,
                };
                writer.write(vec![rejection]).await;
            });
        }
        callers.join_all().await;
        assert!(store.store_rejection_calls() <= 3);
        let stored = store.list(None, None, PageSize::new(500).unwrap()).await;
        assert_eq!(stored.unwrap().items.len(), 300);
    }
}
