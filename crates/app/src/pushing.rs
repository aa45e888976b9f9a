//! The tasks that push events: one for each subscription this process has
//! leased.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ports::error::error_chain;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use usecases::DeliveryWorker;

/// How often it is looked for subscriptions that nobody serves.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How much a thread that pushes gives way to those that take reports, on the scale of `nice`.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 15;

/// Pushes in a thread of its own, until told to stop. It gives way: what events need of the
/// processors they have when reports leave it to them. The receiver is done when it has ended,
/// and fails if it died.
pub fn beside_the_intake(
    push: DeliveryWorker,
    stop: CancellationToken,
) -> io::Result<oneshot::Receiver<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (done, ended) = oneshot::channel();
    std::thread::Builder::new()
        .name("push".to_owned())
        .spawn(move || {
            give_way();
            runtime.block_on(run(Arc::new(push), stop));
            // Nobody waits when the process has given up.
            let _ = done.send(());
        })?;
    Ok(ended)
}

/// Lowers the priority of this thread and of those it starts. Elsewhere than on Linux it
/// would be that of the whole process.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::warn!(%error, "events are pushed with the same priority as reports are taken");
    }
}

/// Pushes until told to stop, and ends when every task of it has.
pub async fn run(push: Arc<DeliveryWorker>, stop: CancellationToken) {
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
                tracing::warn!(error = %error_chain(&error), "no subscription can be leased; it goes on");
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
    if let Err(error) = push.leave().await {
        // The others find out when its time is over.
        tracing::debug!(error = %error_chain(&error), "the other workers do not know yet that this one ends");
    }
    while pushers.join_next().await.is_some() {}
}
