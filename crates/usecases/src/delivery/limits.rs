//! What the subscriptions of a process share: attempts under way, events in
//! memory, and writes to the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use super::PushSettings;

/// An attempt that takes longer makes its endpoint a slow one.
pub(super) const SLOW_ATTEMPT: Duration = Duration::from_secs(1);

/// How many writes of event delivery the store is given at a time. Those of reports
/// wait for no more than these.
const WRITES_AT_A_TIME: usize = 2;

/// How many times a second progress is recorded at most, for all subscriptions
/// together.
const WRITES_PER_SECOND: u32 = 100;

/// Limits for all subscriptions of a process.
pub(super) struct Limits {
    attempts: AttemptLimits,
    events: Arc<EventBudget>,
    writes: Semaphore,
}

impl Limits {
    pub(super) fn new(settings: &PushSettings) -> Self {
        Self {
            attempts: AttemptLimits::new(settings.attempts),
            events: Arc::new(EventBudget {
                limit: settings.events,
                used: AtomicUsize::new(0),
                shares: AtomicUsize::new(0),
            }),
            writes: Semaphore::new(WRITES_AT_A_TIME),
        }
    }

    pub(super) const fn attempts(&self) -> &AttemptLimits {
        &self.attempts
    }

    /// Adds a subscription to those that share the events in memory.
    pub(super) fn share(&self) -> EventShare {
        self.events.shares.fetch_add(1, Ordering::Relaxed);
        EventShare {
            budget: Arc::clone(&self.events),
            held: 0,
        }
    }

    /// Waits until the store may be written to.
    pub(super) async fn write(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.writes.acquire().await.ok()
    }
}

/// Limits the attempts under way. Slow endpoints have a half for themselves, so that
/// they cannot hold up those that answer at once.
pub(super) struct AttemptLimits {
    prompt: Arc<Semaphore>,
    slow: Arc<Semaphore>,
}

impl AttemptLimits {
    fn new(attempts: usize) -> Self {
        let slow = (attempts / 2).max(1);
        let prompt = attempts.saturating_sub(slow).max(1);
        Self {
            prompt: Arc::new(Semaphore::new(prompt)),
            slow: Arc::new(Semaphore::new(slow)),
        }
    }

    /// Whether an endpoint with so many attempts under way may have another one: the
    /// first always, the others while more are free than it has. So a few endpoints
    /// share the attempts evenly, and leave as many free for another one.
    pub(super) fn allows(&self, slow: bool, under_way: usize) -> bool {
        under_way == 0 || under_way < self.of(slow).available_permits()
    }

    /// Takes a slot for an attempt, or a place in the queue for one.
    pub(super) fn slot(&self, slow: bool) -> Slot {
        let slots = Arc::clone(self.of(slow));
        match Arc::clone(&slots).try_acquire_owned() {
            Ok(permit) => Slot::Taken(permit),
            Err(_) => Slot::Queued(slots),
        }
    }

    const fn of(&self, slow: bool) -> &Arc<Semaphore> {
        if slow { &self.slow } else { &self.prompt }
    }
}

/// The right to make an attempt, now or when others have ended.
pub(super) enum Slot {
    Taken(OwnedSemaphorePermit),
    Queued(Arc<Semaphore>),
}

impl Slot {
    /// Waits until the attempt may begin. It ends when what this returns is dropped.
    pub(super) async fn begin(self) -> Option<OwnedSemaphorePermit> {
        match self {
            Self::Taken(permit) => Some(permit),
            // It is never closed.
            Self::Queued(slots) => slots.acquire_owned().await.ok(),
        }
    }
}

/// How many events subscriptions hold in memory.
struct EventBudget {
    limit: usize,
    used: AtomicUsize,
    shares: AtomicUsize,
}

/// The events that one subscription holds in memory.
pub(super) struct EventShare {
    budget: Arc<EventBudget>,
    held: usize,
}

impl EventShare {
    /// Notes how many it holds now.
    pub(super) fn hold(&mut self, events: usize) {
        self.budget.used.fetch_add(events, Ordering::Relaxed);
        self.budget.used.fetch_sub(self.held, Ordering::Relaxed);
        self.held = events;
    }

    /// Returns how many the subscriptions may hold in addition.
    pub(super) fn room(&self) -> usize {
        let used = self.budget.used.load(Ordering::Relaxed);
        self.budget.limit.saturating_sub(used)
    }

    /// Returns how far apart the writes of a subscription are at least, so that all of
    /// them together make [`WRITES_PER_SECOND`].
    pub(super) fn write_every(&self) -> Duration {
        let shares = self.budget.shares.load(Ordering::Relaxed);
        Duration::from_secs(1) / WRITES_PER_SECOND * u32::try_from(shares).unwrap_or(u32::MAX)
    }
}

impl Drop for EventShare {
    fn drop(&mut self) {
        self.hold(0);
        self.budget.shares.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(attempts: usize, events: usize) -> Limits {
        Limits::new(&PushSettings {
            attempts,
            events,
            ..PushSettings::default()
        })
    }

    /// How many attempts an endpoint begins that has none.
    fn fill(limits: &AttemptLimits, slow: bool) -> Vec<Slot> {
        let mut slots = Vec::new();
        while limits.allows(slow, slots.len()) && slots.len() < 64 {
            slots.push(limits.slot(slow));
        }
        slots
    }

    #[test]
    fn endpoints_share_the_attempts_and_leave_some_for_the_next_one() {
        let limits = limits(256, 0);
        let slots: Vec<_> = (0..20).map(|_| fill(limits.attempts(), true)).collect();
        let counts: Vec<_> = slots.iter().map(Vec::len).collect();
        assert_eq!(counts.iter().take(3).collect::<Vec<_>>(), [&64, &32, &16]);
        assert!(counts.iter().all(|count| *count >= 1), "{counts:?}");
        // Those that answer at once do not notice.
        assert_eq!(fill(limits.attempts(), false).len(), 64);
    }

    #[tokio::test]
    async fn attempts_wait_for_others_to_end_in_order() {
        let limits = limits(2, 0);
        let first = limits.attempts().slot(false).begin().await;
        let mut second = std::pin::pin!(limits.attempts().slot(false).begin());
        assert!(futures_pending(second.as_mut()).await);
        drop(first);
        drop(second.await);
    }

    async fn futures_pending<F: Future>(future: std::pin::Pin<&mut F>) -> bool {
        let no_time = tokio::time::timeout(Duration::ZERO, future);
        no_time.await.is_err()
    }

    #[test]
    fn events_in_memory_are_counted_over_all_subscriptions() {
        let limits = limits(2, 100);
        let (mut one, mut two) = (limits.share(), limits.share());
        one.hold(70);
        two.hold(20);
        assert_eq!(one.room(), 10);
        one.hold(40);
        assert_eq!(two.room(), 40);
        two.hold(500);
        assert_eq!(one.room(), 0);
        drop(two);
        assert_eq!(one.room(), 60);
        assert_eq!(one.write_every(), Duration::from_millis(10));
    }
}
