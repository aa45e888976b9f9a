//! Batches of deliveries and the position of one subscription: what is written to the store, and
//! when.

use std::time::Duration;

use domain::{Delivery, DeliveryKey, LogPosition, Timestamp};
use ports::subscriptions::Progress;
use tokio::time::Instant;

/// Deliveries that one write stores at most.
const MAX_BATCH_DELIVERIES: usize = 500;

/// How often the position is written if it only passed events that the filter excludes.
const POSITION_INTERVAL: Duration = Duration::from_secs(5);

/// Collects completed deliveries into batches, and knows what the store has.
#[derive(Debug)]
pub(super) struct ProgressTracker {
    unwritten: Vec<Delivery>,
    unwritten_since: Option<Instant>,
    /// The position in the store.
    written: LogPosition,
    written_at: Instant,
    /// Since what time of day the endpoint has been failing.
    pub(super) failing_since: Option<Timestamp>,
}

impl ProgressTracker {
    /// Starts from what the store has.
    pub(super) const fn new(
        position: LogPosition,
        failing_since: Option<Timestamp>,
        now: Instant,
    ) -> Self {
        Self {
            unwritten: Vec::new(),
            unwritten_since: None,
            written: position,
            written_at: now,
            failing_since,
        }
    }

    /// Adds a delivery to write.
    pub(super) fn add(&mut self, delivery: Delivery, now: Instant) {
        self.unwritten_since.get_or_insert(now);
        self.unwritten.push(delivery);
    }

    /// Returns the newest unwritten state of a delivery.
    pub(super) fn unwritten(&self, key: DeliveryKey) -> Option<&Delivery> {
        self.unwritten.iter().rev().find(|each| each.key == key)
    }

    pub(super) const fn len(&self) -> usize {
        self.unwritten.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.unwritten.is_empty()
    }

    /// Returns when the next write is due: `interval` after the first unwritten delivery, at once
    /// if a batch is full, and later if only the position moved. Two writes are at least `min_gap`
    /// apart. `None` if there is nothing to write.
    pub(super) fn due_at(
        &self,
        position: LogPosition,
        interval: Duration,
        min_gap: Duration,
    ) -> Option<Instant> {
        match self.unwritten_since {
            Some(since) if self.unwritten.len() >= MAX_BATCH_DELIVERIES => Some(since),
            Some(since) => Some(since + interval.max(min_gap)),
            None if position > self.written => {
                Some(self.written_at + POSITION_INTERVAL.max(min_gap * 4))
            }
            None => None,
        }
    }

    /// Returns the next batch. `position` is stored with the last one only: until then it would
    /// pass deliveries that are not stored.
    pub(super) fn next_batch(&self, position: LogPosition) -> Progress<'_> {
        let count = self.unwritten.len().min(MAX_BATCH_DELIVERIES);
        let (batch, rest) = self.unwritten.split_at(count);
        let position = if rest.is_empty() {
            position.max(self.written)
        } else {
            self.written
        };
        Progress {
            position,
            failing_since: self.failing_since,
            deliveries: batch,
        }
    }

    /// Notes that a batch of `count` deliveries was stored with `position`.
    pub(super) fn batch_written(&mut self, count: usize, position: LogPosition, now: Instant) {
        self.unwritten.drain(..count);
        if self.unwritten.is_empty() {
            self.unwritten_since = None;
        }
        self.written = position;
        self.written_at = now;
    }
}

#[cfg(test)]
mod tests {
    use domain::DeliveryState;
    use testkit::builders::subscription_id;

    use super::*;

    const INTERVAL: Duration = Duration::from_millis(200);

    fn delivery(report: i64) -> Delivery {
        testkit::builders::delivery(subscription_id(1), report, DeliveryState::Delivered)
    }

    fn tracker(now: Instant) -> ProgressTracker {
        ProgressTracker::new(LogPosition(10), None, now)
    }

    fn due_after(tracker: &ProgressTracker, position: i64, gap: Duration) -> Option<Instant> {
        tracker.due_at(LogPosition(position), INTERVAL, gap)
    }

    #[test]
    fn nothing_is_due_until_something_changes() {
        let now = Instant::now();
        assert_eq!(due_after(&tracker(now), 10, INTERVAL), None);
        assert_eq!(
            tracker(now).next_batch(LogPosition(3)).position,
            LogPosition(10)
        );
    }

    #[test]
    fn position_alone_is_written_rarely() {
        let now = Instant::now();
        let due = |gap| due_after(&tracker(now), 11, gap);
        assert_eq!(due(INTERVAL), Some(now + POSITION_INTERVAL));
        let gap = Duration::from_secs(2);
        assert_eq!(due(gap), Some(now + gap * 4));
    }

    #[test]
    fn deliveries_are_written_after_the_interval_and_a_full_batch_at_once() {
        let now = Instant::now();
        let mut tracker = tracker(now);
        for number in 1..MAX_BATCH_DELIVERIES {
            tracker.add(delivery(i64::try_from(number).unwrap()), now);
        }
        assert_eq!(
            due_after(&tracker, 10, Duration::ZERO),
            Some(now + INTERVAL)
        );
        assert_eq!(
            due_after(&tracker, 10, INTERVAL * 3),
            Some(now + INTERVAL * 3)
        );
        tracker.add(delivery(1), now + INTERVAL);
        assert_eq!(due_after(&tracker, 10, INTERVAL * 3), Some(now));
    }

    #[test]
    fn position_is_stored_with_the_last_batch() {
        let now = Instant::now();
        let mut tracker = tracker(now);
        for number in 0..=MAX_BATCH_DELIVERIES {
            tracker.add(delivery(i64::try_from(number).unwrap()), now);
        }
        let batch = tracker.next_batch(LogPosition(99));
        assert_eq!(batch.deliveries.len(), MAX_BATCH_DELIVERIES);
        assert_eq!(batch.position, LogPosition(10));
        tracker.batch_written(MAX_BATCH_DELIVERIES, LogPosition(10), now);
        let batch = tracker.next_batch(LogPosition(99));
        assert_eq!(
            (batch.deliveries.len(), batch.position),
            (1, LogPosition(99))
        );
        tracker.batch_written(1, LogPosition(99), now);
        assert!(tracker.is_empty());
        assert_eq!(due_after(&tracker, 99, INTERVAL), None);
    }

    #[test]
    fn newest_unwritten_state_is_found() {
        let now = Instant::now();
        let mut tracker = tracker(now);
        let old = delivery(7);
        let new = Delivery {
            revision: 5,
            ..old.clone()
        };
        tracker.add(old, now);
        tracker.add(new.clone(), now);
        assert_eq!(tracker.unwritten(new.key), Some(&new));
        assert_eq!(tracker.unwritten(delivery(8).key), None);
    }
}
