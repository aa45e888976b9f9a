//! Limits that all subscriptions of a process share: attempts in flight, events in memory, and
//! writes to the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// An endpoint whose last attempt took longer is slow.
const SLOW_ATTEMPT: Duration = Duration::from_secs(1);

/// Concurrent writes of event delivery: ingest waits in the store for no more than these.
const MAX_CONCURRENT_WRITES: usize = 2;

/// Writes of progress per second, over all subscriptions.
const MAX_WRITES_PER_SECOND: u32 = 100;

/// Limits for all subscriptions of a process.
pub(super) struct Limits {
    /// Attempts of endpoints that answer promptly, and of slow ones. Slow endpoints have their
    /// own half, so that they do not delay the others.
    prompt_attempts: Arc<Semaphore>,
    slow_attempts: Arc<Semaphore>,
    max_buffered: usize,
    buffered: AtomicUsize,
    subscriptions: AtomicUsize,
    writes: Semaphore,
}

impl Limits {
    /// Creates limits on attempts in flight and on events in memory.
    pub(super) fn new(max_in_flight: usize, max_buffered: usize) -> Self {
        let slow = (max_in_flight / 2).max(1);
        let prompt = max_in_flight.saturating_sub(slow).max(1);
        Self {
            prompt_attempts: Arc::new(Semaphore::new(prompt)),
            slow_attempts: Arc::new(Semaphore::new(slow)),
            max_buffered,
            buffered: AtomicUsize::new(0),
            subscriptions: AtomicUsize::new(0),
            writes: Semaphore::new(MAX_CONCURRENT_WRITES),
        }
    }

    /// Waits for the permit to write to the store.
    pub(super) async fn write_permit(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.writes.acquire().await.ok()
    }
}

/// One subscription's part of the limits.
pub(super) struct SubscriptionShare {
    limits: Arc<Limits>,
    buffered: usize,
    slow: bool,
}

impl SubscriptionShare {
    /// Adds a subscription. An endpoint that was failing counts as slow until it answers.
    pub(super) fn new(limits: Arc<Limits>, was_failing: bool) -> Self {
        limits.subscriptions.fetch_add(1, Ordering::Relaxed);
        Self {
            limits,
            buffered: 0,
            slow: was_failing,
        }
    }

    /// Notes how long the endpoint's last attempt took.
    pub(super) fn attempt_took(&mut self, took: Duration) {
        self.slow = took >= SLOW_ATTEMPT;
    }

    /// Returns whether the endpoint may have another attempt besides `in_flight` ones: the first
    /// always, further ones while more are free than it has. So a few endpoints share the limit
    /// evenly and leave room for another one.
    pub(super) fn allows_attempt(&self, in_flight: usize) -> bool {
        in_flight == 0 || in_flight < self.attempts().available_permits()
    }

    /// Reserves a slot for an attempt, or a place in the queue for one.
    pub(super) fn attempt_slot(&self) -> AttemptSlot {
        let slots = Arc::clone(self.attempts());
        match Arc::clone(&slots).try_acquire_owned() {
            Ok(permit) => AttemptSlot::Free(permit),
            Err(_) => AttemptSlot::Queued(slots),
        }
    }

    /// Notes how many events the subscription has in memory.
    pub(super) fn set_buffered(&mut self, events: usize) {
        let total = &self.limits.buffered;
        total.fetch_add(events, Ordering::Relaxed);
        total.fetch_sub(self.buffered, Ordering::Relaxed);
        self.buffered = events;
    }

    /// Returns how many more events the subscriptions may have in memory.
    pub(super) fn room(&self) -> usize {
        let buffered = self.limits.buffered.load(Ordering::Relaxed);
        self.limits.max_buffered.saturating_sub(buffered)
    }

    /// Returns the least time between two writes of this subscription, so that all subscriptions
    /// together make [`MAX_WRITES_PER_SECOND`].
    pub(super) fn min_write_gap(&self) -> Duration {
        let subscriptions = self.limits.subscriptions.load(Ordering::Relaxed);
        let subscriptions = u32::try_from(subscriptions).unwrap_or(u32::MAX);
        Duration::from_secs(1) / MAX_WRITES_PER_SECOND * subscriptions
    }

    fn attempts(&self) -> &Arc<Semaphore> {
        if self.slow {
            &self.limits.slow_attempts
        } else {
            &self.limits.prompt_attempts
        }
    }
}

impl Drop for SubscriptionShare {
    fn drop(&mut self) {
        self.set_buffered(0);
        self.limits.subscriptions.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The right to make an attempt, now or when others have completed.
pub(super) enum AttemptSlot {
    Free(OwnedSemaphorePermit),
    Queued(Arc<Semaphore>),
}

impl AttemptSlot {
    /// Waits until the attempt may begin. Dropping the permit ends the attempt.
    pub(super) async fn begin(self) -> Option<OwnedSemaphorePermit> {
        match self {
            Self::Free(permit) => Some(permit),
            // The semaphore is never closed.
            Self::Queued(slots) => slots.acquire_owned().await.ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(limits: &Arc<Limits>) -> SubscriptionShare {
        SubscriptionShare::new(Arc::clone(limits), false)
    }

    /// Returns the attempts that a new endpoint begins.
    fn fill(limits: &Arc<Limits>, slow: bool) -> Vec<AttemptSlot> {
        let share = SubscriptionShare::new(Arc::clone(limits), slow);
        let mut slots = Vec::new();
        while share.allows_attempt(slots.len()) && slots.len() < 64 {
            slots.push(share.attempt_slot());
        }
        slots
    }

    #[test]
    fn endpoints_share_the_attempts_and_leave_some_for_the_next_one() {
        let limits = Arc::new(Limits::new(256, 0));
        let slots: Vec<_> = (0..20).map(|_| fill(&limits, true)).collect();
        let counts: Vec<_> = slots.iter().map(Vec::len).collect();
        assert_eq!(counts[..3], [64, 32, 16]);
        assert!(counts.iter().all(|count| *count >= 1), "{counts:?}");
        assert_eq!(fill(&limits, false).len(), 64, "prompt ones are unaffected");
    }

    #[test]
    fn an_endpoint_is_slow_after_an_attempt_of_a_second() {
        let mut share = share(&Arc::new(Limits::new(256, 0)));
        for (took, slow) in [(999, false), (1_000, true), (1, false)] {
            share.attempt_took(Duration::from_millis(took));
            assert_eq!(share.slow, slow, "{took}");
        }
    }

    #[tokio::test]
    async fn attempts_wait_for_others_to_complete() {
        let limits = Arc::new(Limits::new(2, 0));
        let share = share(&limits);
        let first = share.attempt_slot().begin().await;
        let mut second = std::pin::pin!(share.attempt_slot().begin());
        let no_time = tokio::time::timeout(Duration::ZERO, second.as_mut());
        assert!(no_time.await.is_err());
        drop(first);
        drop(second.await);
    }

    #[test]
    fn events_in_memory_are_counted_over_all_subscriptions() {
        let limits = Arc::new(Limits::new(2, 100));
        let (mut one, mut two) = (share(&limits), share(&limits));
        one.set_buffered(70);
        two.set_buffered(20);
        assert_eq!(one.room(), 10);
        one.set_buffered(40);
        assert_eq!(two.room(), 40);
        two.set_buffered(500);
        assert_eq!(one.room(), 0);
        drop(two);
        assert_eq!(one.room(), 60);
        assert_eq!(one.min_write_gap(), Duration::from_millis(10));
    }
}
