//! Adds the requests of a receiver to the statistics.

use std::sync::Arc;

use domain::statistics::{Counts, Interval, quarter_hour};
use ports::statistics::{CountedBatch, IntervalCounts};
use ports::{Calendar, Environment, Statistics, StoreError};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::channels::directory::ChannelDirectory;

/// Adds the requests that a channel directory has counted to the statistics. A crash loses those
/// since the last batch.
pub struct CountRequests {
    directory: Arc<ChannelDirectory>,
    store: Arc<dyn Statistics>,
    calendar: Arc<dyn Calendar>,
    environment: Arc<dyn Environment>,
    writer: Uuid,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many batches there were.
    batches: i64,
    /// A batch that may not be stored yet.
    pending: Option<CountedBatch>,
}

impl CountRequests {
    /// Creates the use case for the requests of one process.
    #[must_use]
    pub fn new(
        directory: Arc<ChannelDirectory>,
        store: Arc<dyn Statistics>,
        calendar: Arc<dyn Calendar>,
        environment: Arc<dyn Environment>,
    ) -> Self {
        Self {
            directory,
            store,
            calendar,
            writer: environment.uuid(),
            environment,
            state: Mutex::default(),
        }
    }

    /// Stores what was counted since the last call. If that fails, or the future is dropped, the
    /// next call repeats it; the store adds a batch once.
    pub async fn write(&self) -> Result<(), StoreError> {
        let mut state = self.state.lock().await;
        self.store_pending(&mut state).await?;
        let counts = self.take_counts();
        if counts.is_empty() {
            return Ok(());
        }
        state.batches += 1;
        state.pending = Some(CountedBatch {
            writer: self.writer,
            number: state.batches,
            taken_at: self.environment.now(),
            counts,
        });
        self.store_pending(&mut state).await
    }

    async fn store_pending(&self, state: &mut State) -> Result<(), StoreError> {
        if let Some(batch) = &state.pending {
            self.store.add_batch(batch).await?;
        }
        state.pending = None;
        Ok(())
    }

    /// Takes what was counted out of the directory; it counts in the present intervals.
    fn take_counts(&self) -> IntervalCounts {
        let quarter = quarter_hour(self.environment.now());
        let day = self.calendar.day_start(quarter);
        let mut all = IntervalCounts::new();
        for (channel, requests) in self.directory.take_requests() {
            let counts = Counts {
                requests,
                ..Counts::default()
            };
            all.insert((Interval::Day, day, channel.clone()), counts.clone());
            all.insert((Interval::QuarterHour, quarter, channel), counts);
        }
        all
    }
}
