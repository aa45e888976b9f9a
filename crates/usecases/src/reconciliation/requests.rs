//! Requests for records at a bounded rate, repeated with backoff.

use std::sync::Arc;
use std::time::Duration;

use domain::MessageSid;
use ports::MessageRecords;
use ports::message_records::{
    MessageRecord, RecordsAccess, RecordsError, RecordsPage, RecordsPlace, RecordsQuery,
};
use tokio::time::Instant;

/// How often a request is tried, at most.
const MAX_ATTEMPTS: u32 = 5;

/// The pause after the first failed attempt; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause, also if the integrator requests a longer one: the next run repeats what is
/// left.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// How many records that cannot be read are passed over. With more the API itself is suspect.
const MAX_UNREADABLE_RECORDS: usize = 10;

/// Sends one request after the other.
pub(super) struct PacedRequests {
    records: Arc<dyn MessageRecords>,
    access: RecordsAccess,
    /// The shortest time between the starts of two requests.
    interval: Duration,
    next_at: Instant,
    has_answer: bool,
    /// Why records of single messages could not be read.
    unreadable: Vec<RecordsError>,
}

impl PacedRequests {
    pub(super) fn new(
        records: Arc<dyn MessageRecords>,
        access: RecordsAccess,
        interval: Duration,
    ) -> Self {
        Self {
            records,
            access,
            interval,
            next_at: Instant::now(),
            has_answer: false,
            unreadable: Vec::new(),
        }
    }

    /// Returns whether the integrator has answered at least one request.
    pub(super) const fn has_answer(&self) -> bool {
        self.has_answer
    }

    /// Removes and returns the last error of a record that could not be read; `None` if there is
    /// none.
    pub(super) fn take_unreadable(&mut self) -> Option<RecordsError> {
        self.unreadable.pop()
    }

    /// Returns the record of a message; `None` if the integrator has none, or if it cannot be read:
    /// one must not keep the others from being compared.
    pub(super) async fn find(
        &mut self,
        sid: &MessageSid,
    ) -> Result<Option<MessageRecord>, RecordsError> {
        let mut failed = 0;
        loop {
            self.wait().await;
            match self.records.find(&self.access, sid).await {
                Ok(record) => {
                    self.has_answer = true;
                    return Ok(record);
                }
                Err(error @ RecordsError::Unreadable(_))
                    if self.unreadable.len() < MAX_UNREADABLE_RECORDS =>
                {
                    self.unreadable.push(error);
                    return Ok(None);
                }
                Err(error) => failed = self.pause(failed, error)?,
            }
        }
    }

    /// Returns a page of a list.
    pub(super) async fn list(
        &mut self,
        query: &RecordsQuery,
        place: Option<&RecordsPlace>,
    ) -> Result<RecordsPage, RecordsError> {
        let mut failed = 0;
        loop {
            self.wait().await;
            match self.records.list(&self.access, query, place).await {
                Ok(page) => {
                    self.has_answer = true;
                    return Ok(page);
                }
                Err(error) => failed = self.pause(failed, error)?,
            }
        }
    }

    async fn wait(&mut self) {
        tokio::time::sleep_until(self.next_at).await;
        self.next_at = Instant::now() + self.interval;
    }

    /// Delays the next attempt and returns the number of failed ones, or the error if there is no
    /// further attempt.
    fn pause(&mut self, failed: u32, error: RecordsError) -> Result<u32, RecordsError> {
        let requested = match &error {
            RecordsError::Throttled { after } => *after,
            RecordsError::Unavailable(_) => None,
            RecordsError::Denied { .. }
            | RecordsError::Unreadable(_)
            | RecordsError::Unexpected(_) => return Err(error),
        };
        let failed = failed + 1;
        if failed >= MAX_ATTEMPTS {
            return Err(error);
        }
        let pause = requested.unwrap_or_else(|| backoff(failed)).min(MAX_PAUSE);
        self.next_at = self.next_at.max(Instant::now() + pause);
        Ok(failed)
    }
}

/// Returns the pause after a number of failed attempts, with 10 % jitter.
fn backoff(failed: u32) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << failed.saturating_sub(1).min(16));
    doubled.min(MAX_PAUSE).mul_f64(0.9 + 0.2 * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_a_minute() {
        for (failed, millis) in [(1, 100), (2, 200), (4, 800), (40, 30_000)] {
            let exact = Duration::from_millis(millis);
            let pause = backoff(failed);
            assert!(pause >= exact.mul_f64(0.89), "{failed}: {pause:?}");
            assert!(pause <= exact.mul_f64(1.11), "{failed}: {pause:?}");
        }
    }
}
