//! Wires the use cases of statistics.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use domain::crypto::ServerSecret;
use ports::Store;
use usecases::statistics::{CountReports, CountRequests, RebuildStatistics};
use usecases::{ChannelDirectory, ReadStatistics, StatisticsReader, Throttle};

use crate::background::BackgroundTask;
use crate::config::Settings;
use crate::low_priority::LowPriorityThread;
use crate::system::System;

/// Returns the use case that recomputes the statistics.
pub fn rebuild(
    store: &Arc<dyn Store>,
    settings: &Settings,
    secret: &ServerSecret,
) -> RebuildStatistics {
    let calendar = settings.statistics.time_zone.clone();
    RebuildStatistics::new(
        Arc::clone(store) as _,
        Arc::clone(store) as _,
        Arc::clone(store) as _,
        Arc::new(calendar),
        secret.clone(),
    )
}

/// Returns the use case that keeps the statistics current.
pub fn reader(
    store: &Arc<dyn Store>,
    settings: &Settings,
    secret: &ServerSecret,
) -> StatisticsReader {
    let calendar = settings.statistics.time_zone.clone();
    StatisticsReader::new(Arc::clone(store) as _, Arc::new(calendar), secret.clone())
}

/// Returns the use case that reads statistics.
pub fn read(store: &Arc<dyn Store>, settings: &Settings) -> ReadStatistics {
    let calendar = settings.statistics.time_zone.clone();
    ReadStatistics::new(
        Arc::clone(store) as _,
        Arc::clone(store) as _,
        Arc::new(calendar),
        Arc::new(System),
    )
}

/// How often a receiver adds its requests.
const REQUESTS_INTERVAL: Duration = Duration::from_secs(5);

/// Returns the use case that adds the requests which `directory` counted.
pub fn requests(
    store: &Arc<dyn Store>,
    settings: &Settings,
    directory: &Arc<ChannelDirectory>,
) -> CountRequests {
    let calendar = settings.statistics.time_zone.clone();
    CountRequests::new(
        Arc::clone(directory),
        Arc::clone(store) as _,
        Arc::new(calendar),
        Arc::new(System),
    )
}

/// Returns the task that adds the requests of a receiver.
pub fn requests_task(requests: Arc<CountRequests>) -> BackgroundTask {
    BackgroundTask::new("count requests", REQUESTS_INTERVAL, move || {
        let requests = Arc::clone(&requests);
        async move { Ok(requests.write().await?) }
    })
}

/// Returns the task that keeps the statistics current, on a thread of its own. It waits while
/// `throttle` says that ingest is saturated.
pub fn task(
    store: &Arc<dyn Store>,
    settings: &Settings,
    secret: &ServerSecret,
    throttle: &Arc<Throttle>,
) -> Result<BackgroundTask> {
    let thread = LowPriorityThread::start("statistics");
    let thread = Arc::new(thread.context("cannot start the thread of statistics")?);
    let reader = reader(store, settings, secret);
    let count = Arc::new(CountReports::new(reader, Arc::clone(throttle)));
    let run = move || {
        let (thread, count) = (Arc::clone(&thread), Arc::clone(&count));
        async move { Ok(thread.run(async move { count.run().await }).await??) }
    };
    let interval = Duration::from_secs(1);
    Ok(BackgroundTask::new("count statistics", interval, run))
}
