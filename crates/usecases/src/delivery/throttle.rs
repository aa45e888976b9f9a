//! Events give way to reports.
//!
//! An integrator does not send a report twice; an event waits in the log. So
//! while reports arrive as fast as they can be taken, the process that takes
//! them pushes few events, and catches up afterwards. A busy intake is known by
//! its batches: they are large, and recording one takes much longer than
//! recording a few reports does. Large ones alone say little: over a network
//! many reports gather during each commit, and nobody lacks a processor.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many events a turn allows.
const TURN: u32 = 16;

/// How often there is a turn, for all subscriptions together: 500 events a
/// second, which take a twentieth of two processors.
const TURN_EVERY: Duration = Duration::from_millis(32);

/// How full batches are in the mean while the intake is busy, in thousandths.
const BUSY: usize = 250;

/// A batch is small up to here, in thousandths of what it might be.
const SMALL: usize = 60;

/// How many times as long as a small batch one takes at least while the intake is busy.
const HURRIED: u32 = 2;

/// A small batch that takes twice as long as the shortest is believed after this time: the
/// database is further away now, and not only has much to do.
const BELIEVED: Duration = Duration::from_mins(10);

/// After how long without a batch nothing is known of the intake any more.
const FORGET_AFTER: Duration = Duration::from_millis(500);

/// How fast events may be pushed beside an intake.
#[derive(Debug, Default)]
pub struct Pace(Mutex<Load>);

#[derive(Debug, Default)]
struct Load {
    /// How full the last batches were, in thousandths; the latest counts an eighth.
    fill: usize,
    /// How long they took; the latest counts an eighth.
    took: Duration,
    /// How long a small batch takes that has the database for itself.
    unhurried: Duration,
    small_at: Option<Instant>,
    kept_at: Option<Instant>,
    next_turn: Option<Instant>,
}

impl Pace {
    /// The intake has kept a batch of so many reports, where it might have been `at_most`, and
    /// that took so long. Says for how long events have been slowed down since the last one.
    pub fn batch_kept(
        &self,
        reports: usize,
        at_most: usize,
        took: Duration,
        now: Instant,
    ) -> Duration {
        let mut load = self.load();
        let before = load.slow_for(now);
        if load.is_forgotten(now) {
            (load.fill, load.took) = (0, Duration::ZERO);
        }
        let fill = reports.saturating_mul(1_000) / at_most.max(1);
        load.fill = (load.fill * 7 + fill) / 8;
        load.took = (load.took * 7 + took) / 8;
        load.kept_at = Some(now);
        if fill <= SMALL {
            load.small_took(took, now);
        }
        before
    }

    /// The turns of one subscription among all of them.
    pub(crate) const fn turns(pace: Arc<Self>) -> Turns {
        Turns {
            pace,
            left: 0,
            next: None,
        }
    }

    /// When the next turn is, which nobody else has then. `None` if events may
    /// go as fast as they can.
    fn reserve(&self, now: Instant) -> Option<Instant> {
        let mut load = self.load();
        if !load.is_busy(now) {
            load.next_turn = None;
            return None;
        }
        let turn = load.next_turn.map_or(now, |next| next.max(now));
        load.next_turn = Some(turn + TURN_EVERY);
        Some(turn)
    }

    fn is_busy(&self, now: Instant) -> bool {
        self.load().is_busy(now)
    }

    fn load(&self) -> MutexGuard<'_, Load> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Load {
    fn small_took(&mut self, took: Duration, now: Instant) {
        let last = self.small_at.replace(now);
        self.unhurried = last.map_or(took, |last| {
            let passed = now
                .saturating_duration_since(last)
                .div_duration_f64(BELIEVED);
            took.min(self.unhurried.mul_f64(1.0 + passed.min(1.0)))
        });
    }

    fn is_busy(&self, now: Instant) -> bool {
        self.is_hurried() && !self.is_forgotten(now)
    }

    fn is_hurried(&self) -> bool {
        self.fill >= BUSY && self.took >= self.unhurried * HURRIED
    }

    fn is_forgotten(&self, now: Instant) -> bool {
        self.since(now) >= FORGET_AFTER
    }

    fn slow_for(&self, now: Instant) -> Duration {
        if self.is_hurried() {
            self.since(now).min(FORGET_AFTER)
        } else {
            Duration::ZERO
        }
    }

    fn since(&self, now: Instant) -> Duration {
        self.kept_at
            .map_or(Duration::ZERO, |at| now.saturating_duration_since(at))
    }
}

/// The turns of one subscription.
#[derive(Debug)]
pub(crate) struct Turns {
    pace: Arc<Pace>,
    /// How many events this turn still allows.
    left: u32,
    next: Option<Instant>,
}

impl Turns {
    /// Whether an event may be sent now. To be asked when there is one: if not, its turn is
    /// reserved.
    pub(crate) fn may_send(&mut self, now: Instant) -> bool {
        if !self.pace.is_busy(now) {
            (self.left, self.next) = (0, None);
            return true;
        }
        if self.left > 0 {
            return true;
        }
        if self.next.is_none() {
            self.next = self.pace.reserve(now);
        }
        if self.next.take_if(|next| *next <= now).is_some() {
            self.left = TURN;
        }
        self.next.is_none()
    }

    /// When the turn is that was reserved.
    pub(crate) const fn next(&self) -> Option<Instant> {
        self.next
    }

    /// An event was sent.
    pub(crate) const fn sent(&mut self) {
        self.left = self.left.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 256;

    /// How long recording so many takes where that is all there is to do.
    fn work(reports: usize) -> Duration {
        Duration::from_micros(500) + Duration::from_micros(40) * u32::try_from(reports).unwrap()
    }

    /// The same where every commit is a journey.
    fn far(reports: usize) -> Duration {
        Duration::from_millis(20) + work(reports)
    }

    /// Fifty batches of so many reports, a millisecond apart; ends at the returned time.
    fn after_batches(pace: &Pace, reports: usize, mut now: Instant) -> Instant {
        for _ in 0..50 {
            now += Duration::from_millis(1);
            pace.batch_kept(reports, MOST, work(reports), now);
        }
        now
    }

    /// How many events go in a second while the intake goes on like this.
    fn sent_in_a_second(pace: &Pace, all: &mut [Turns], reports: usize, from: Instant) -> Vec<u32> {
        let mut sent = vec![0; all.len()];
        for ms in 0..1_000 {
            let now = from + Duration::from_millis(ms);
            pace.batch_kept(reports, MOST, work(reports), now);
            for (turns, sent) in all.iter_mut().zip(&mut sent) {
                // As many as a target takes in a millisecond.
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
    fn events_are_not_slowed_by_reports_that_are_taken_as_they_come() {
        let pace = Arc::new(Pace::default());
        let now = after_batches(&pace, 40, Instant::now());
        let mut turns = [Pace::turns(pace.clone())];
        assert_eq!(sent_in_a_second(&pace, &mut turns, 40, now), [20_000]);
    }

    #[test]
    fn events_are_few_while_batches_are_large() {
        let pace = Arc::new(Pace::default());
        let now = after_batches(&pace, 120, Instant::now());
        let mut turns = [Pace::turns(pace.clone())];
        let sent = sent_in_a_second(&pace, &mut turns, 120, now);
        assert!((490..=520).contains(&sent[0]), "{sent:?}");
    }

    #[test]
    fn subscriptions_have_their_turns_one_after_the_other() {
        let pace = Arc::new(Pace::default());
        let now = after_batches(&pace, MOST, Instant::now());
        let mut turns = [(); 4].map(|()| Pace::turns(pace.clone()));
        let sent = sent_in_a_second(&pace, &mut turns, MOST, now);
        assert!((490..=520).contains(&sent.iter().sum::<u32>()), "{sent:?}");
        assert!(sent.iter().all(|sent| *sent >= 7 * TURN), "{sent:?}");
    }

    #[test]
    fn large_batches_slow_nothing_while_they_take_no_longer_than_small_ones() {
        let pace = Arc::new(Pace::default());
        let mut now = Instant::now();
        for reports in [1, 2, 100, 120].into_iter().chain([110; 50]) {
            now += far(reports);
            pace.batch_kept(reports, MOST, far(reports), now);
        }
        assert!(Pace::turns(pace.clone()).may_send(now));
        // Until the database has too much to do.
        for _ in 0..20 {
            now += far(110) * 3;
            pace.batch_kept(110, MOST, far(110) * 3, now);
        }
        assert!(pace.is_busy(now));
    }

    #[test]
    fn a_database_that_is_further_away_is_believed_in_time_and_a_busy_one_is_not() {
        let pace = Pace::default();
        let mut now = after_batches(&pace, 1, Instant::now());
        let large_ones = |mut now: Instant| {
            for _ in 0..20 {
                now += far(110);
                pace.batch_kept(110, MOST, far(110), now);
            }
            now
        };
        now = large_ones(now);
        assert!(pace.is_busy(now));
        for _ in 0..60 * 60 {
            now += Duration::from_secs(1);
            pace.batch_kept(1, MOST, far(1), now);
        }
        now = large_ones(now);
        assert!(!pace.is_busy(now));
    }

    #[test]
    fn a_single_large_batch_slows_nothing() {
        let pace = Arc::new(Pace::default());
        let now = after_batches(&pace, 20, Instant::now());
        pace.batch_kept(MOST, MOST, work(MOST), now);
        assert!(Pace::turns(pace).may_send(now));
    }

    #[test]
    fn events_go_on_when_reports_stop() {
        let pace = Arc::new(Pace::default());
        let now = after_batches(&pace, MOST, Instant::now());
        let mut turns = Pace::turns(pace.clone());
        for _ in 0..TURN {
            assert!(turns.may_send(now));
            turns.sent();
        }
        assert!(!turns.may_send(now));
        assert_eq!(turns.next(), Some(now + TURN_EVERY));
        let later = now + FORGET_AFTER;
        assert!(turns.may_send(later));
        // What was before does not count when they come again.
        assert_eq!(pace.batch_kept(20, MOST, work(20), later), FORGET_AFTER);
        assert!(turns.may_send(later));
        assert_eq!(pace.batch_kept(20, MOST, work(20), later), Duration::ZERO);
    }
}
