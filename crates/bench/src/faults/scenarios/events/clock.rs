//! The machine's clock is set back while events are delivered.
//!
//! The clock of a whole process cannot be changed, so the worker is composed here of the same
//! parts, on a clock of the test.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use adapter_webhook::{WebhookSettings, WebhookSink};
use anyhow::Result;
use domain::crypto::ServerSecret;
use ports::metrics::NoMetrics;
use ports::{ChannelStore, DeliveryQueue, EventLog};
use testkit::clock::SkewedClock;
use tokio::sync::watch;
use tokio::task::JoinSet;
use usecases::delivery::{DeliveryDependencies, DeliverySettings};
use usecases::{ChannelDirectory, DeliveryWorker, LogTailCache};

use super::{Subscribers, prepare_without_workers};
use crate::SECRET_KEY;
use crate::events::subscriber::Behavior;
use crate::faults::scenarios::{DEADLINE, join};
use crate::faults::store::{DatabaseEngine, with_store};
use crate::faults::trial::{TrialOptions, pause};
use crate::faults::verdict::Verdict;
use crate::wait::runtime;

const SET_BACK_BY: Duration = Duration::from_mins(2);

/// How long events may take afterwards: much less than the clock was set back.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(15);

/// Some events fail, and the clock is set back.
pub fn set_back(options: &TrialOptions) -> Result<Verdict> {
    let mut trial = prepare_without_workers(options)?.started()?;
    let subscribers = Subscribers::new(&trial, 2)?;
    subscribers.set(Behavior::FailOneIn(20));
    let clock = Arc::new(SkewedClock::default());
    let (stop, stopped) = watch::channel(false);
    let worker = work(
        options.engine,
        trial.store.url(),
        Arc::clone(&clock),
        stopped,
    );
    let load = super::load(options, &trial).start();
    let before = subscribers.until_accepted(500, ARRIVAL_LIMIT);
    clock.turn_back(SET_BACK_BY);
    // Events that were read before.
    pause(1.0);
    let since = load.elapsed();
    let again = subscribers.until_accepted(500, ARRIVAL_LIMIT);
    let took = load.elapsed().saturating_sub(since);
    let ledger = load.stop()?;
    subscribers.set(Behavior::Accept);
    let mut verdict = subscribers.settle(&mut trial, &ledger)?;
    stop.send_replace(true);
    join(worker)?;
    verdict.note(format!("500 more events after {took:.1?}"));
    verdict.expect(before, "nothing was delivered before");
    verdict.expect(again, "nothing was delivered afterwards");
    verdict.expect_all_accepted_within(DEADLINE);
    Ok(verdict)
}

/// Delivers events on a thread until `stop` is set.
fn work(
    engine: DatabaseEngine,
    url: String,
    clock: Arc<SkewedClock>,
    stop: watch::Receiver<bool>,
) -> JoinHandle<Result<()>> {
    thread::spawn(move || {
        runtime()?.block_on(async {
            with_store!(engine, &url, |store| deliver(store, clock, stop).await)
        })
    })
}

async fn deliver<S>(
    store: Arc<S>,
    clock: Arc<SkewedClock>,
    stop: watch::Receiver<bool>,
) -> Result<()>
where
    S: DeliveryQueue + EventLog + ChannelStore + 'static,
{
    let secret = || ServerSecret::parse(SECRET_KEY);
    let directory = ChannelDirectory::new(store.clone(), secret()?, Arc::new(NoMetrics));
    directory.refresh().await?;
    let settings = WebhookSettings {
        private_targets: true,
        ..WebhookSettings::default()
    };
    let parts = DeliveryDependencies {
        queue: store.clone(),
        log: Arc::new(LogTailCache::new(store)),
        throttle: Arc::default(),
        sender: Arc::new(WebhookSink::new(settings, clock.clone())?),
        directory: Arc::new(directory),
        secret: secret()?,
        environment: clock,
        metrics: Arc::new(NoMetrics),
    };
    let worker = DeliveryWorker::new(parts, DeliverySettings::default(), "skewed".to_owned());
    let mut dispatchers = JoinSet::new();
    while !*stop.borrow() {
        if let Some(dispatcher) = worker.claim().await? {
            let mut stop = stop.clone();
            dispatchers.spawn(dispatcher.run(async move {
                let _ = stop.wait_for(|stop| *stop).await;
            }));
        } else {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    while let Some(ended) = dispatchers.join_next().await {
        ended?;
    }
    Ok(())
}
