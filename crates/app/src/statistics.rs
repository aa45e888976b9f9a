//! Wires the use cases of statistics.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use domain::crypto::ServerSecret;
use ports::Store;
use usecases::statistics::{CountRequests, Progress, RebuildStatistics};
use usecases::{ChannelDirectory, ReadStatistics, StatisticsReader};

use crate::background::BackgroundTask;
use crate::config::Settings;
use crate::low_priority::LowPriorityThread;
use crate::system::System;

/// Returns the use case that makes the statistics anew.
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
    StatisticsReader::new(
        Arc::clone(store) as _,
        Arc::clone(store) as _,
        Arc::new(calendar),
        secret.clone(),
    )
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

/// Returns the task that keeps the statistics current, on a thread of its own.
pub fn task(
    store: &Arc<dyn Store>,
    settings: &Settings,
    secret: &ServerSecret,
) -> Result<BackgroundTask> {
    let thread = LowPriorityThread::start("statistics");
    let thread = Arc::new(thread.context("cannot start the thread of statistics")?);
    let reader = Arc::new(reader(store, settings, secret));
    let step = move || {
        let (thread, reader) = (Arc::clone(&thread), Arc::clone(&reader));
        async move { thread.run(count(reader)).await? }
    };
    let interval = Duration::from_secs(1);
    Ok(BackgroundTask::new("count statistics", interval, step))
}

/// Counts what is in the log.
async fn count(reader: Arc<StatisticsReader>) -> Result<()> {
    loop {
        match reader.step().await? {
            Progress::More => {}
            Progress::UpToDate => return Ok(()),
            // It goes on as long as it can; this process takes over when it stops.
            Progress::LeftToAnother => {
                tokio::time::sleep(Duration::from_secs(5)).await;
                return Ok(());
            }
            Progress::Missed => tracing::error!(
                "statistics lack reports that retention removed before they were counted; run \
                 `receiptd stats rebuild`"
            ),
        }
    }
}
