//! Group commit of requests to forward: while one batch is written, the next one accumulates.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ports::ForwardedRequestStore;
use ports::error::error_chain;
use ports::forwarding::{NewForwardedRequest, StoredRequest};
use tokio::sync::oneshot;

use super::outbox::ForwardError;

/// The maximum number of requests of a batch.
const MAX_BATCH: usize = 64;

/// A batch takes no further request once it has so many bytes.
const MAX_BATCH_BYTES: usize = 8 * 1_048_576;

/// The maximum number of requests that wait for the store; further ones are refused.
const MAX_QUEUED: usize = 256;

/// The maximum size of the requests that wait for the store.
const MAX_QUEUED_BYTES: usize = 32 * 1_048_576;

type Outcome = Result<StoredRequest, String>;

/// Writes requests in batches.
pub(super) struct OutboxWriter {
    store: Arc<dyn ForwardedRequestStore>,
    queue: Mutex<VecDeque<Queued>>,
    /// The request that holds the lock writes those in the queue.
    writing: tokio::sync::Mutex<()>,
}

struct Queued {
    request: NewForwardedRequest,
    answer: oneshot::Sender<Outcome>,
}

impl OutboxWriter {
    pub(super) fn new(store: Arc<dyn ForwardedRequestStore>) -> Self {
        Self {
            store,
            queue: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
        }
    }

    /// Stores a request, and returns what became of it. If the caller is cancelled, the next one
    /// may store it.
    pub(super) async fn write(
        &self,
        request: NewForwardedRequest,
    ) -> Result<StoredRequest, ForwardError> {
        let (answer, mut answered) = oneshot::channel();
        {
            let mut queue = self.queue();
            queue.retain(|queued| !queued.answer.is_closed());
            let bytes: usize = queue.iter().map(|it| it.request.sealed.0.len()).sum();
            if queue.len() >= MAX_QUEUED || bytes >= MAX_QUEUED_BYTES {
                return Err(ForwardError::Unavailable(
                    "too many requests wait for the store".into(),
                ));
            }
            queue.push_back(Queued { request, answer });
        }
        loop {
            let _writing = self.writing.lock().await;
            match answered.try_recv() {
                Ok(outcome) => {
                    return outcome.map_err(|error| ForwardError::Unavailable(error.into()));
                }
                // Never: a request leaves the queue with an answer, or after its caller.
                Err(oneshot::error::TryRecvError::Closed) => {
                    return Err(ForwardError::Unavailable("the request was dropped".into()));
                }
                Err(oneshot::error::TryRecvError::Empty) => self.write_batch().await,
            }
        }
    }

    /// Writes the first requests of the queue. They stay in it until then, so that the next caller
    /// writes them if this one is cancelled.
    async fn write_batch(&self) {
        let batch = {
            let mut queue = self.queue();
            queue.retain(|queued| !queued.answer.is_closed());
            let mut bytes = 0;
            let mut batch = Vec::new();
            for queued in queue.iter().take(MAX_BATCH) {
                bytes += queued.request.sealed.0.len();
                if bytes > MAX_BATCH_BYTES && !batch.is_empty() {
                    break;
                }
                batch.push(queued.request.clone());
            }
            batch
        };
        let stored = self.store.store_requests(&batch).await;
        let failed = stored.as_ref().err().map(|error| error_chain(error));
        let mut outcomes = stored.into_iter().flatten();
        let mut queue = self.queue();
        for _ in 0..batch.len() {
            let Some(queued) = queue.pop_front() else {
                return;
            };
            let outcome = outcomes.next().ok_or_else(|| {
                let failed = failed.clone();
                failed.unwrap_or_else(|| "the store gave no outcome".to_owned())
            });
            // The caller may be gone.
            let _ = queued.answer.send(outcome);
        }
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Queued>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
