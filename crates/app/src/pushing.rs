//! The tasks that push events: one for each subscription this process has
//! leased.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use usecases::PushEvents;
use usecases::intake::chain;

/// How often it is looked for subscriptions that nobody serves.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Pushes until told to stop, and ends when every task of it has.
pub async fn run(push: Arc<PushEvents>, stop: CancellationToken) {
    let mut pushers = JoinSet::new();
    let mut failing = false;
    while !stop.is_cancelled() {
        match push.claim().await {
            Ok(Some(pusher)) => {
                failing = false;
                let stop = stop.clone();
                pushers.spawn(pusher.run(async move { stop.cancelled().await }));
                // There may be more that wait.
                continue;
            }
            Ok(None) => failing = false,
            // Said once; a store that is away would fill the log otherwise.
            Err(_) if failing => {}
            Err(error) => {
                failing = true;
                tracing::warn!(error = %chain(&error), "no subscription can be leased; it goes on");
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
            Some(ended) = pushers.join_next(), if !pushers.is_empty() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a task that pushes events died; its subscription is leased again");
                }
            }
        }
    }
    while pushers.join_next().await.is_some() {}
}
