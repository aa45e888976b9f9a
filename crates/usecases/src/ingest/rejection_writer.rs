//! Group commit of rejections: while one batch is being written the next one gathers, and
//! batches begin at least [`COMMIT_INTERVAL`] apart, so that rejected reports leave the store to
//! those that are taken.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::Rejection;
use ports::{RejectionStore, StoreError};
use tokio::time::Instant;

use ports::error::error_chain;

/// The least time between two batches.
const COMMIT_INTERVAL: Duration = Duration::from_millis(200);

/// As many rejections may wait; more are dropped.
const MAX_WAITING: usize = 1_000;

/// Writes rejections in batches.
pub(crate) struct RejectionWriter {
    log: Arc<dyn RejectionStore>,
    queue: Mutex<Queue>,
    /// When the last batch began. The request that holds it writes for all that wait.
    last_batch: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Rejection>,
    /// How many have left the queue, written or not.
    left: usize,
}

impl RejectionWriter {
    pub(crate) fn new(log: Arc<dyn RejectionStore>) -> Self {
        Self {
            log,
            queue: Mutex::default(),
            last_batch: tokio::sync::Mutex::default(),
        }
    }

    /// Keeps a rejection; it is stored, or logged as not kept, when this returns. If the caller
    /// gives up, the next one writes it.
    pub(crate) async fn keep(&self, rejection: Rejection) {
        let number = {
            let mut queue = self.queue();
            if queue.waiting.len() >= MAX_WAITING {
                tracing::warn!(channel = %rejection.channel, "a rejection was not kept: too many wait for the store");
                return;
            }
            queue.waiting.push(rejection);
            queue.left + queue.waiting.len()
        };
        let mut last_batch = self.last_batch.lock().await;
        if self.queue().left >= number {
            return;
        }
        if let Some(last) = *last_batch {
            tokio::time::sleep_until(last + COMMIT_INTERVAL).await;
        }
        *last_batch = Some(Instant::now());
        let batch = self.queue().waiting.clone();
        self.write(&batch).await;
        let mut queue = self.queue();
        queue.waiting.drain(..batch.len());
        queue.left += batch.len();
    }

    async fn write(&self, batch: &[Rejection]) {
        let refused = match self.log.keep(batch).await {
            Ok(()) => return,
            Err(error) => error,
        };
        if batch.len() == 1 || !matches!(refused, StoreError::Rejected { .. }) {
            tracing::warn!(rejections = batch.len(), error = %error_chain(&refused), "rejections were not kept");
            return;
        }
        // One of them costs the others nothing.
        for each in batch {
            if let Err(error) = self.log.keep(std::slice::from_ref(each)).await {
                tracing::warn!(channel = %each.channel, error = %error_chain(&error), "a rejection was not kept");
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
    async fn many_rejections_are_few_batches_and_all_are_kept() {
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
                };
                writer.keep(rejection).await;
            });
        }
        callers.join_all().await;
        assert!(store.keep_rejection_calls() <= 3);
        let kept = store.list(None, None, PageSize::new(500).unwrap()).await;
        assert_eq!(kept.unwrap().items.len(), 300);
    }
}
