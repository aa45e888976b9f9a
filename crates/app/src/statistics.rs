//! Wires the use cases of statistics.

use std::sync::Arc;
use std::time::Duration;

use ports::Store;
use usecases::statistics::{Progress, RebuildStatistics};
use usecases::{ReadStatistics, StatisticsReader};

use crate::background::BackgroundTask;
use crate::config::Settings;
use crate::system::System;

/// Returns the use case that makes the statistics anew.
pub fn rebuild(store: &Arc<dyn Store>, settings: &Settings) -> RebuildStatistics {
    let calendar = settings.statistics.time_zone.clone();
    RebuildStatistics::new(
        Arc::clone(store) as _,
        Arc::clone(store) as _,
        Arc::clone(store) as _,
        Arc::new(calendar),
    )
}

/// Returns the use case that keeps the statistics current.
pub fn reader(store: &Arc<dyn Store>, settings: &Settings) -> StatisticsReader {
    let calendar = settings.statistics.time_zone.clone();
    StatisticsReader::new(
        Arc::clone(store) as _,
        Arc::clone(store) as _,
        Arc::new(calendar),
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

/// Returns the task that keeps the statistics current.
pub fn task(store: &Arc<dyn Store>, settings: &Settings) -> BackgroundTask {
    let reader = Arc::new(reader(store, settings));
    BackgroundTask::new("count statistics", Duration::from_secs(1), move || {
        let reader = Arc::clone(&reader);
        async move {
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
                        "statistics lack reports that retention removed before they were counted; \
                         run `receiptd stats rebuild`"
                    ),
                }
            }
        }
    })
}
