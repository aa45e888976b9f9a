//! Group commit of requests to forward: while one batch is written, the next one accumulates.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
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
    /// The number of the next request.
    next: AtomicU64,
    /// The request that holds the lock writes those in the queue.
    writing: tokio::sync::Mutex<()>,
}

struct Queued {
    /// Tells requests apart: others may leave the queue while this one is written.
    number: u64,
    request: NewForwardedRequest,
    answer: oneshot::Sender<Outcome>,
}

impl OutboxWriter {
    pub(super) fn new(store: Arc<dyn ForwardedRequestStore>) -> Self {
        Self {
            store,
            queue: Mutex::default(),
            next: AtomicU64::default(),
            writing: tokio::sync::Mutex::default(),
        }
    }

    /// Stores a request and returns the result. If the caller is cancelled, the next one may store
    /// it.
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
            queue.push_back(Queued {
                number: self.next.fetch_add(1, Ordering::Relaxed),
                request,
                answer,
            });
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
        let (numbers, batch) = {
            let mut queue = self.queue();
            queue.retain(|queued| !queued.answer.is_closed());
            let mut bytes = 0;
            let (mut numbers, mut batch) = (Vec::new(), Vec::new());
            for queued in queue.iter().take(MAX_BATCH) {
                bytes += queued.request.sealed.0.len();
                if bytes > MAX_BATCH_BYTES && !batch.is_empty() {
                    break;
                }
                numbers.push(queued.number);
                batch.push(queued.request.clone());
            }
            (numbers, batch)
        };
        let stored = self.store.store_requests(&batch).await;
        let failed = stored.as_ref().err().map(|error| error_chain(error));
        let mut outcomes = stored.into_iter().flatten();
        let mut queue = self.queue();
        for number in numbers {
            let outcome = outcomes.next().ok_or_else(|| {
                let failed = failed.clone();
                failed.unwrap_or_else(|| "the store gave no outcome".to_owned())
            });
            // Its caller may have been cancelled, and another one may have removed it.
            let place = queue.iter().position(|queued| queued.number == number);
            let Some(queued) = place.and_then(|place| queue.remove(place)) else {
                continue;
            };
            // The caller may be gone.
            let _ = queued.answer.send(outcome);
        }
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Queued>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use domain::crypto::SealedSecret;
    use domain::forwarding::WaitingRequests;
    use domain::{ChannelId, ForwardedRequestKey, Timestamp};
    use ports::StoreError;
    use ports::forwarding::{ClaimedRequest, PostponedRequest, RequestClaim};
    use testkit::builders::{channel_id, time};
    use tokio::sync::Semaphore;
    use tokio::task::JoinSet;

    use super::*;

    /// Stores nothing but the numbers of requests, each call when a permit is added.
    struct GatedStore {
        permits: Semaphore,
        stored: Mutex<Vec<u8>>,
    }

    #[async_trait]
    impl ForwardedRequestStore for GatedStore {
        async fn store_requests(
            &self,
            requests: &[NewForwardedRequest],
        ) -> Result<Vec<StoredRequest>, StoreError> {
            self.permits.acquire().await.unwrap().forget();
            let numbers = requests.iter().map(|it| it.key.body_hash[0]);
            self.stored.lock().unwrap().extend(numbers);
            Ok(vec![StoredRequest::Stored; requests.len()])
        }

        async fn claim_requests(
            &self,
            _: &RequestClaim<'_>,
        ) -> Result<Vec<ClaimedRequest>, StoreError> {
            Ok(Vec::new())
        }

        async fn record_forwarding(
            &self,
            _: &[ForwardedRequestKey],
            _: &[PostponedRequest],
        ) -> Result<(), StoreError> {
            Ok(())
        }

        async fn restore_due_times(&self, _: Timestamp) -> Result<u64, StoreError> {
            Ok(0)
        }

        async fn remove_old_requests(
            &self,
            _: Timestamp,
            _: Timestamp,
        ) -> Result<Vec<(ChannelId, u64)>, StoreError> {
            Ok(Vec::new())
        }

        async fn waiting_requests(
            &self,
            _: Option<&ChannelId>,
        ) -> Result<Vec<(ChannelId, WaitingRequests)>, StoreError> {
            Ok(Vec::new())
        }
    }

    fn request(number: u8) -> NewForwardedRequest {
        NewForwardedRequest {
            key: ForwardedRequestKey {
                channel: channel_id("1"),
                body_hash: [number; 32],
            },
            sealed: SealedSecret(vec![number]),
            arrived_at: time(1),
        }
    }

    /// Lets all tasks run until they wait.
    async fn settle() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn request_is_answered_with_its_own_result_when_another_caller_is_cancelled() {
        let store = Arc::new(GatedStore {
            permits: Semaphore::new(0),
            stored: Mutex::default(),
        });
        let writer = Arc::new(OutboxWriter::new(store.clone()));
        let mut writing = JoinSet::new();
        let mut write = |number: u8| {
            let writer = Arc::clone(&writer);
            writing.spawn(async move { (number, writer.write(request(number)).await.is_ok()) })
        };
        write(1);
        settle().await;
        write(2);
        let cancelled = write(3);
        settle().await;
        // The first batch is stored, and the second one, of 2 and 3, is under way.
        store.permits.add_permits(1);
        settle().await;
        cancelled.abort();
        settle().await;
        write(4);
        settle().await;
        store.permits.add_permits(1);
        settle().await;
        let mut answered = Vec::new();
        while let Some(Ok((number, is_ok))) = writing.try_join_next() {
            assert!(is_ok);
            answered.push(number);
        }
        let stored = store.stored.lock().unwrap().clone();
        assert!(
            answered.iter().all(|it| stored.contains(it)),
            "{answered:?} {stored:?}"
        );
        store.permits.add_permits(1);
        while let Some(done) = writing.join_next().await {
            answered.extend(done.map(|(number, _)| number));
        }
        answered.sort_unstable();
        assert_eq!(answered, [1, 2, 4]);
        assert!(store.stored.lock().unwrap().contains(&4));
    }
}
