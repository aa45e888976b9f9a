//! The machine's clock is set back while events are pushed.
//!
//! A whole process cannot be shown another time without help, so the worker is put
//! together here, of the same parts, on a clock that does as it is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use adapter_postgres::{Options, PostgresStore};
use adapter_sqlite::SqliteStore;
use adapter_webhook::{WebhookSettings, WebhookSink};
use anyhow::{Context as _, Result};
use bench::SECRET_KEY;
use bench::events::subscriber::Manner;
use domain::Timestamp;
use domain::secret::ServerSecret;
use ports::metrics::NoMetrics;
use ports::{ChannelStore, Clock, DeliveryQueue, EventLog};
use testkit::clock::CountingIds;
use tokio::sync::watch;
use tokio::task::JoinSet;
use usecases::delivery::{DeliveryDependencies, DeliverySettings};
use usecases::{ChannelDirectory, DeliveryWorker, LogTailCache};

use super::{Audience, home, load};
use crate::Stage;
use crate::finding::Finding;
use crate::scenarios::{DEADLINE, pause};
use crate::store::{Engine, Store};

/// How far the clock is set back.
const BACK: Duration = Duration::from_mins(2);

/// How long events may take afterwards: much less than the clock was set back.
const ARRIVE: Duration = Duration::from_secs(15);

/// Events are pushed, some of them failing now and then, and the clock is set back.
pub fn set_back(stage: &Stage) -> Result<Finding> {
    let store = Store::new(stage.engine)?;
    let home = home(stage, &store)?;
    let receiver = home.start_without_workers()?;
    let audience = Audience::new(&home, 2)?;
    audience.set(Manner::FailsOneIn(20));
    let clock = Arc::new(SkewedClock(AtomicI64::new(0)));
    let (stop, stopped) = watch::channel(false);
    let worker = work(stage.engine, store.url(), Arc::clone(&clock), stopped);
    let load = load(stage, &home).start();
    let before = audience.until_taken(500, ARRIVE);
    clock.turn_back(BACK);
    // What was read before.
    pause(1.0);
    let since = load.elapsed();
    let again = audience.until_taken(500, ARRIVE);
    let took = load.elapsed().saturating_sub(since);
    let ledger = load.stop()?;
    audience.set(Manner::Takes);
    let mut finding = audience.settle(&store, receiver, &ledger)?;
    stop.send_replace(true);
    worker.join().ok().context("the worker died")??;
    finding.note(format!("500 more events after {took:.1?}"));
    finding.expect(before, "nothing was pushed before");
    finding.expect(again, "nothing was pushed afterwards");
    finding.expect_all_taken_within(DEADLINE);
    Ok(finding)
}

/// The machine's clock, some microseconds off.
struct SkewedClock(AtomicI64);

impl SkewedClock {
    fn turn_back(&self, by: Duration) {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.0.fetch_sub(by, Ordering::SeqCst);
    }
}

impl Clock for SkewedClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Timestamp {
        let now = Timestamp::try_from(time::OffsetDateTime::now_utc()).unwrap_or(Timestamp::EPOCH);
        now.plus_micros(self.0.load(Ordering::SeqCst))
    }
}

/// Pushes events on a thread of its own until it is told to stop.
fn work(
    engine: Engine,
    url: String,
    clock: Arc<SkewedClock>,
    stop: watch::Receiver<bool>,
) -> JoinHandle<Result<()>> {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            match engine {
                Engine::Sqlite => {
                    let store = SqliteStore::connect(&url).await?;
                    push(Arc::new(store.clone()), clock, stop).await?;
                    store.close().await?;
                }
                Engine::Postgres => {
                    let store = PostgresStore::connect(&url, &Options::default())?;
                    push(Arc::new(store.clone()), clock, stop).await?;
                    store.close().await;
                }
            }
            Ok(())
        })
    })
}

async fn push<S>(store: Arc<S>, clock: Arc<SkewedClock>, stop: watch::Receiver<bool>) -> Result<()>
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
        clock,
        ids: Arc::new(CountingIds::default()),
        metrics: Arc::new(NoMetrics),
    };
    let push = DeliveryWorker::new(parts, DeliverySettings::default(), "skewed".to_owned());
    let mut pushers = JoinSet::new();
    while !*stop.borrow() {
        if let Some(pusher) = push.claim().await? {
            let mut stop = stop.clone();
            pushers.spawn(pusher.run(async move {
                let _ = stop.wait_for(|stop| *stop).await;
            }));
        } else {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    while let Some(ended) = pushers.join_next().await {
        ended?;
    }
    Ok(())
}
