//! Limits event delivery while the ingest queue is deep.
//!
//! A report that is refused may never come again; an event waits in the log. So ingest has
//! priority: `serve` delivers events on a low-priority thread, and this limit holds back the work
//! that a delivery causes elsewhere, in the store and on the network.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Ingest is saturated while a writer finds more than a half (1 ÷ this) of a full batch in the
/// queue. At half of peak throughput it finds a twentieth on average, and a quarter after every
/// slow commit, which must not throttle.
const SATURATED_SHARE: usize = 2;

/// How long ingest counts as saturated after such a batch: longer than it takes to record one at
/// saturation, and short, because a single slow commit fills the queue too.
const SATURATED_FOR: Duration = Duration::from_millis(25);

/// Attempts that one turn allows while ingest is saturated.
const ATTEMPTS_PER_TURN: u32 = 16;

/// Time between two turns of all subscriptions: 500 attempts per second together.
const TURN_INTERVAL: Duration = Duration::from_millis(32);

/// Limits the delivery attempts of a process while its ingest is saturated.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Up to where throttled time was reported.
    counted_until: Option<Instant>,
    saturated_until: Option<Instant>,
    next_turn: Option<Instant>,
}

impl Throttle {
    /// Notes that a writer found `reports` in the ingest queue, of `max_batch` that it takes at
    /// once. Returns for how long delivery was throttled since the last call.
    pub fn batch_taken(&self, reports: usize, max_batch: usize, now: Instant) -> Duration {
        let mut state = self.state();
        let throttled = match (state.counted_until, state.saturated_until) {
            (Some(from), Some(until)) => until.min(now).saturating_duration_since(from),
            _ => Duration::ZERO,
        };
        state.counted_until = Some(now);
        if reports.saturating_mul(SATURATED_SHARE) > max_batch {
            state.saturated_until = Some(now + SATURATED_FOR);
        }
        throttled
    }

    /// Adds a subscription to those that take turns.
    pub(super) const fn turns(throttle: Arc<Self>) -> ThrottleTokens {
        ThrottleTokens {
            throttle,
            left: 0,
            next: None,
        }
    }

    /// Returns whether ingest is saturated.
    pub(crate) fn is_saturated(&self, now: Instant) -> bool {
        self.state()
            .saturated_until
            .is_some_and(|until| now < until)
    }

    /// Returns the next turn that no other subscription has.
    fn reserve(&self, now: Instant) -> Instant {
        let mut state = self.state();
        let turn = state.next_turn.map_or(now, |next| next.max(now));
        state.next_turn = Some(turn + TURN_INTERVAL);
        turn
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The turns of one subscription.
#[derive(Debug)]
pub(super) struct ThrottleTokens {
    throttle: Arc<Throttle>,
    /// Attempts that the current turn still allows.
    left: u32,
    /// The turn that is reserved for this subscription.
    next: Option<Instant>,
}

impl ThrottleTokens {
    /// Returns whether an attempt may begin now; if not, a turn is reserved. Call it only when
    /// there is an event to send.
    pub(super) fn may_send(&mut self, now: Instant) -> bool {
        if !self.throttle.is_saturated(now) {
            (self.left, self.next) = (0, None);
            return true;
        }
        if self.left > 0 {
            return true;
        }
        let next = *self.next.get_or_insert_with(|| self.throttle.reserve(now));
        if next <= now {
            (self.left, self.next) = (ATTEMPTS_PER_TURN, None);
        }
        self.next.is_none()
    }

    /// Returns when to ask again: at the reserved turn, or when saturation ends before.
    pub(super) fn next(&self) -> Option<Instant> {
        let turn = self.next?;
        let end = self.throttle.state().saturated_until;
        Some(end.map_or(turn, |end| turn.min(end)))
    }

    /// Counts an attempt.
    pub(super) const fn sent(&mut self) {
        self.left = self.left.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_BATCH: usize = 256;

    /// Returns how many events each subscription sends in a second in which every millisecond a
    /// batch of so many reports is taken, and each endpoint accepts 20 events.
    fn sent_in_a_second(subscriptions: usize, reports: usize) -> Vec<u32> {
        let throttle = Arc::new(Throttle::default());
        let mut all: Vec<_> = (0..subscriptions)
            .map(|_| Throttle::turns(Arc::clone(&throttle)))
            .collect();
        let mut sent = vec![0; subscriptions];
        let began = Instant::now();
        for ms in 0..1_000 {
            let now = began + Duration::from_millis(ms);
            throttle.batch_taken(reports, MAX_BATCH, now);
            for (turns, sent) in all.iter_mut().zip(&mut sent) {
                for _ in 0..20 {
                    if turns.may_send(now) {
                        turns.sent();
                        *sent += 1;
                    }
                }
            }
        }
        sent
    }

    #[test]
    fn small_batches_do_not_throttle() {
        assert_eq!(sent_in_a_second(1, 128), [20_000]);
    }

    #[test]
    fn large_batches_throttle_to_500_per_second() {
        let sent = sent_in_a_second(1, 129);
        assert!((490..=520).contains(&sent[0]), "{sent:?}");
    }

    #[test]
    fn subscriptions_take_turns() {
        let sent = sent_in_a_second(4, MAX_BATCH);
        assert!((490..=520).contains(&sent.iter().sum::<u32>()), "{sent:?}");
        let fair = sent.iter().all(|sent| *sent >= 7 * ATTEMPTS_PER_TURN);
        assert!(fair, "{sent:?}");
    }

    #[test]
    fn throttling_ends_soon_after_the_last_large_batch() {
        let throttle = Arc::new(Throttle::default());
        let now = Instant::now();
        throttle.batch_taken(MAX_BATCH, MAX_BATCH, now);
        let mut turns = Throttle::turns(Arc::clone(&throttle));
        for _ in 0..ATTEMPTS_PER_TURN {
            assert!(turns.may_send(now));
            turns.sent();
        }
        assert!(!turns.may_send(now));
        assert_eq!(turns.next(), Some(now + SATURATED_FOR));
        throttle.batch_taken(MAX_BATCH, MAX_BATCH, now + SATURATED_FOR / 2);
        assert_eq!(turns.next(), Some(now + TURN_INTERVAL));
        let later = now + SATURATED_FOR / 2 + SATURATED_FOR;
        assert!(turns.may_send(later));
        let much_later = later + SATURATED_FOR;
        let throttled = throttle.batch_taken(1, MAX_BATCH, much_later);
        assert_eq!(throttled, SATURATED_FOR);
        assert!(turns.may_send(much_later));
        assert_eq!(
            throttle.batch_taken(1, MAX_BATCH, much_later),
            Duration::ZERO
        );
    }
}
