//! Runs the webhook dispatchers, one task per subscription that this process has leased, and
//! forwards requests beside them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ports::error::error_chain;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use usecases::{DeliveryWorker, ForwardingWorker};

use crate::low_priority::lower_priority;

/// How often the store is asked for subscriptions that no worker has leased.
const CLAIM_INTERVAL: Duration = Duration::from_secs(1);

/// Delivers events and forwards requests on a low-priority thread until `stop` is cancelled. The
/// returned receiver completes when the thread has stopped, and fails if it died.
pub fn start_thread(
    worker: DeliveryWorker,
    forwarding: ForwardingWorker,
    stop: CancellationToken,
) -> io::Result<oneshot::Receiver<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (stopped, receiver) = oneshot::channel();
    std::thread::Builder::new()
        .name("delivery".to_owned())
        .spawn(move || {
            lower_priority();
            runtime.block_on(run(Arc::new(worker), forwarding, stop));
            // The receiver is gone if the shutdown ran out of time.
            let _ = stopped.send(());
        })?;
    Ok(receiver)
}

/// Delivers events and forwards requests until `stop` is cancelled, and the attempts in flight have
/// ended.
pub async fn run(
    worker: Arc<DeliveryWorker>,
    forwarding: ForwardingWorker,
    stop: CancellationToken,
) {
    tokio::join!(
        deliver(worker, stop.clone()),
        forwarding.run(stop.cancelled())
    );
}

/// Leases subscriptions and delivers their events until `stop` is cancelled; returns when all
/// dispatchers have stopped.
async fn deliver(worker: Arc<DeliveryWorker>, stop: CancellationToken) {
    let mut dispatchers = JoinSet::new();
    let mut failing = false;
    while !stop.is_cancelled() {
        match worker.claim().await {
            Ok(Some(dispatcher)) => {
                failing = false;
                let stop = stop.clone();
                dispatchers.spawn(dispatcher.run(async move { stop.cancelled().await }));
                // More subscriptions may be free.
                continue;
            }
            Ok(None) => failing = false,
            // Logged once: an unavailable store would flood the log otherwise.
            Err(_) if failing => {}
            Err(error) => {
                failing = true;
                tracing::warn!(
                    error = %error_chain(&error),
                    "cannot lease subscriptions; retrying in {CLAIM_INTERVAL:?}"
                );
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(CLAIM_INTERVAL) => {}
            Some(ended) = dispatchers.join_next(), if !dispatchers.is_empty() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a dispatcher died; its subscription will be leased again");
                }
            }
        }
    }
    if let Err(error) = worker.leave().await {
        // Other workers notice when the lease expires.
        tracing::debug!(error = %error_chain(&error), "cannot tell other workers that this one stops");
    }
    while dispatchers.join_next().await.is_some() {}
}
