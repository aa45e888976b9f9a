//! Counts the log while ingest leaves room for it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ports::StoreError;
use tokio::time::{Instant, sleep};

use super::reader::{Progress, StatisticsReader};
use crate::Throttle;

/// How long counting waits while ingest is saturated. The statistics then lag by less than ten
/// seconds, as long as they are counted faster than reports arrive.
const MAX_WAIT: Duration = Duration::from_secs(8);

/// How often saturation is checked meanwhile.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// How long another process that counts is left alone.
const LEFT_ALONE: Duration = Duration::from_secs(5);

/// Counts the reports of the log. While ingest of this process is saturated, it waits, but no
/// longer than eight seconds after it last had counted everything: a burst of reports is recorded
/// at full speed and counted afterwards.
pub struct CountReports {
    reader: StatisticsReader,
    throttle: Arc<Throttle>,
    /// When everything was last counted.
    current_at: Mutex<Instant>,
}

impl CountReports {
    /// Counts with a reader, and waits while `throttle` says that ingest is saturated.
    #[must_use]
    pub fn new(reader: StatisticsReader, throttle: Arc<Throttle>) -> Self {
        Self {
            reader,
            throttle,
            current_at: Mutex::new(Instant::now()),
        }
    }

    /// Counts what is in the log. Dropping it loses nothing.
    pub async fn run(&self) -> Result<(), StoreError> {
        loop {
            while self.waits(Instant::now()) {
                sleep(CHECK_INTERVAL).await;
            }
            match self.reader.step().await? {
                Progress::More => {}
                Progress::UpToDate => {
                    self.set_current_at(Instant::now());
                    return Ok(());
                }
                // It goes on as long as it can; this process takes over when it stops.
                Progress::LeftToAnother => {
                    sleep(LEFT_ALONE).await;
                    return Ok(());
                }
                Progress::Missed => tracing::error!(
                    "statistics lack reports that retention removed before they were counted; run \
                     `receiptd stats rebuild`"
                ),
            }
        }
    }

    fn waits(&self, now: Instant) -> bool {
        let current_at = *self
            .current_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.throttle.is_saturated(now) && now < current_at + MAX_WAIT
    }

    fn set_current_at(&self, at: Instant) {
        *self
            .current_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = at;
    }
}

#[cfg(test)]
mod tests {
    use ports::{ReportStore as _, Statistics as _};
    use testkit::builders::{report, server_secret, twilio_sid};
    use testkit::clock::UtcDays;
    use testkit::memory::MemoryStore;

    use super::*;

    fn fixture() -> (MemoryStore, Arc<Throttle>, CountReports) {
        let store = MemoryStore::new();
        let shared = Arc::new(store.clone());
        let calendar = Arc::new(UtcDays);
        let reader = StatisticsReader::new(shared, calendar, server_secret());
        let throttle = Arc::<Throttle>::default();
        let count = CountReports::new(reader, Arc::clone(&throttle));
        (store, throttle, count)
    }

    #[test]
    fn counting_waits_for_ingest_for_eight_seconds() {
        let (_, throttle, count) = fixture();
        let began = Instant::now();
        let waits_after = |seconds| {
            let now = began + Duration::from_secs(seconds);
            throttle.batch_taken(256, 256, now);
            count.waits(now)
        };
        assert!(!count.waits(began));
        assert!((0..=7).all(waits_after));
        assert!(!(9..=20).any(waits_after));
        // It has caught up at last.
        count.set_current_at(began + Duration::from_secs(20));
        assert!((21..=27).all(waits_after));
        assert!(!waits_after(29));
    }

    #[tokio::test]
    async fn reports_of_a_burst_are_counted_after_it() {
        let (store, throttle, count) = fixture();
        let report = report(&twilio_sid(1)).build();
        store.record(&[report]).await.unwrap();
        let began = Instant::now();
        throttle.batch_taken(256, 256, began);
        let burst = async {
            while began.elapsed() < Duration::from_millis(200) {
                throttle.batch_taken(256, 256, Instant::now());
                sleep(Duration::from_millis(5)).await;
            }
            store.statistics_position().await.unwrap()
        };
        let (counted, position_at_the_end) = tokio::join!(count.run(), burst);
        counted.unwrap();
        assert_eq!(position_at_the_end, None);
        assert!(store.statistics_position().await.unwrap().is_some());
    }
}
