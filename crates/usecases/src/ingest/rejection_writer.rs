//! Group commit of rejections. Batches begin at least [`COMMIT_INTERVAL`] apart, so that rejected
//! reports use little of the store.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::Rejection;
use ports::error::error_chain;
use ports::{RejectionStore, StoreError};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Minimum time between two batches.
const COMMIT_INTERVAL: Duration = Duration::from_millis(200);

/// Rejections that may be queued; further ones are dropped.
const MAX_QUEUED: usize = 1_000;

/// Writes rejections in batches. The callers only wait: a batch is neither aborted nor written
/// twice when one of them is cancelled.
pub(crate) struct RejectionWriter {
    batches: Arc<Batches>,
    /// At most one task, which ends when nothing is queued. Aborted with the writer.
    task: Mutex<JoinSet<()>>,
}

struct Batches {
    store: Arc<dyn RejectionStore>,
    queue: Mutex<Queue>,
    /// How many rejections were written, or logged as lost.
    done: watch::Sender<usize>,
}

#[derive(Default)]
struct Queue {
    rejections: Vec<Rejection>,
    /// How many rejections have left the queue.
    taken: usize,
    /// Whether a task writes what is queued.
    is_written: bool,
    /// When the last batch began.
    last_batch: Option<Instant>,
}

impl RejectionWriter {
    pub(crate) fn new(store: Arc<dyn RejectionStore>) -> Self {
        let batches = Batches {
            store,
            queue: Mutex::default(),
            done: watch::Sender::default(),
        };
        Self {
            batches: Arc::new(batches),
            task: Mutex::default(),
        }
    }

    /// Queues rejections, and returns when they are stored, or logged as lost. They are stored even
    /// if the caller is cancelled.
    pub(crate) async fn write(&self, rejections: Vec<Rejection>) {
        let mut done = self.batches.done.subscribe();
        let number = self.batches.enqueue(rejections);
        self.start_task();
        // Never fails: the sender lives as long as this writer.
        let _ = done.wait_for(|done| *done >= number).await;
    }

    /// Starts the task that writes the queue, if there is none.
    fn start_task(&self) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(ended) = task.try_join_next() {
            // A task that panicked could not say that it ended.
            if ended.is_err() {
                self.batches.queue().is_written = false;
            }
        }
        if !std::mem::replace(&mut self.batches.queue().is_written, true) {
            let batches = Arc::clone(&self.batches);
            task.spawn(async move { batches.write_all().await });
        }
    }
}

impl Batches {
    /// Adds rejections to the queue. Returns the number of the last one.
    fn enqueue(&self, rejections: Vec<Rejection>) -> usize {
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
        queue.taken + queue.rejections.len()
    }

    /// Writes until nothing is queued.
    async fn write_all(&self) {
        while let Some(begin) = self.next_batch() {
            tokio::time::sleep_until(begin).await;
            let (batch, taken) = self.take();
            self.write_batch(&batch).await;
            self.done.send_replace(taken);
        }
    }

    /// Returns when the next batch begins; `None` ends the task.
    fn next_batch(&self) -> Option<Instant> {
        let mut queue = self.queue();
        if queue.rejections.is_empty() {
            queue.is_written = false;
            return None;
        }
        let last = queue.last_batch;
        Some(last.map_or_else(Instant::now, |last| last + COMMIT_INTERVAL))
    }

    /// Takes all queued rejections. Returns them and the number of the last one.
    fn take(&self) -> (Vec<Rejection>, usize) {
        let mut queue = self.queue();
        queue.last_batch = Some(Instant::now());
        queue.taken += queue.rejections.len();
        (std::mem::take(&mut queue.rejections), queue.taken)
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
mod tests;
