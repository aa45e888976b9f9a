//! The state of a dispatcher: owns the parts, and decides from them what may be done now and when
//! the dispatcher has to wake up.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use domain::delivery::{DeliveryOrder, PendingDelivery};
use domain::{Delivery, LogPosition, Subscription, Timestamp};
use ports::event_log::LogPage;
use ports::metrics::AttemptOutcome;
use ports::subscriptions::{LeasedSubscription, MAX_PENDING};
use ports::webhook_sender::{Delivered, SendError};
use tokio::time::Instant;

use super::context::{DeliverySettings, WorkerContext};
use super::endpoint::{AttemptTimes, Endpoint};
use super::endpoint_breaker::EndpointBreaker;
use super::leases::LeaseHolder;
use super::limits::SubscriptionShare;
use super::log_follower::{LogFollower, new_deliveries};
use super::message_queue::{PerMessageQueue, QueuedDelivery};
use super::monotonic::{MonotonicTimeline, elapsed, plus};
use super::progress::ProgressTracker;
use super::retry_policy::{MAX_COOLDOWN, MAX_RETRY_AFTER, RetryPolicy};
use super::throttle::{Throttle, ThrottleTokens};
use crate::channels::directory::ChannelDirectory;

/// How often to look for a free slot while other subscriptions use all of them.
const SLOT_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Delay of a delivery that the store did not return.
const UNREAD_DELAY: Duration = Duration::from_secs(1);

/// Most and fewest reports per read. A failing endpoint, or little free memory, gets the fewest.
const MAX_READ: u16 = 500;
const MIN_READ: NonZeroU16 = NonZeroU16::new(10).unwrap();

/// The parts of a dispatcher.
pub(super) struct DispatcherState {
    settings: DeliverySettings,
    pub(super) subscription: Subscription,
    pub(super) lease: LeaseHolder,
    pub(super) log: LogFollower,
    pub(super) queue: PerMessageQueue,
    endpoint: Endpoint,
    pub(super) progress: ProgressTracker,
    pub(super) share: SubscriptionShare,
    turns: ThrottleTokens,
    /// The time that `queue` and `endpoint` use.
    timeline: MonotonicTimeline,
    /// The last restored delivery, if the store has more pending ones.
    restored_up_to: Option<DeliveryOrder>,
    /// Whether it was logged that reading stopped because of too many pending deliveries.
    reported_full: bool,
}

impl DispatcherState {
    pub(super) fn new(
        context: &WorkerContext,
        leased: LeasedSubscription,
        requested_at: Instant,
    ) -> Self {
        let (settings, dependencies) = (context.settings, &context.dependencies);
        let timeline = MonotonicTimeline::new(Arc::clone(&dependencies.environment));
        let (now, failing_since) = (timeline.now(), leased.failing_since);
        let failing = failing_since.map(|at| timeline.convert_stored(at, Duration::ZERO));
        let seed = random_seed(&dependencies.environment.secret_bytes());
        let last = leased.pending.last().map(PendingDelivery::order);
        let mut state = Self {
            settings,
            lease: LeaseHolder::new(
                Arc::clone(&dependencies.queue),
                Arc::clone(&context.limits),
                leased.lease,
                settings.lease,
                requested_at,
            ),
            log: LogFollower::new(Arc::clone(&dependencies.log), leased.position),
            queue: PerMessageQueue::default(),
            endpoint: Endpoint {
                breaker: EndpointBreaker::new(failing, now),
                retry: RetryPolicy::new(seed, now),
            },
            progress: ProgressTracker::new(leased.position, failing_since, requested_at),
            share: SubscriptionShare::new(Arc::clone(&context.limits), failing_since.is_some()),
            turns: Throttle::turns(Arc::clone(&dependencies.throttle)),
            timeline,
            restored_up_to: last.filter(|_| leased.more_pending),
            reported_full: false,
            subscription: leased.subscription,
        };
        state.restore(leased.pending);
        state
    }

    fn restore(&mut self, mut pending: Vec<PendingDelivery>) {
        for delivery in &mut pending {
            let convert = |at, max_ahead| self.timeline.convert_stored(at, max_ahead);
            let next = delivery.next_attempt_at;
            delivery.next_attempt_at = next.map(|at| convert(at, MAX_RETRY_AFTER));
            let cooldown = delivery.cooldown_until;
            delivery.cooldown_until = cooldown.map(|at| convert(at, MAX_COOLDOWN));
            if let Some(until) = delivery.cooldown_until {
                self.endpoint.retry.extend_cooldown(until);
            }
        }
        self.queue.restore(pending);
    }

    /// Returns the delivery of the store after which more should be restored now.
    pub(super) fn restorable_after(&self) -> Option<DeliveryOrder> {
        let may_restore = !self.is_full() && !self.lease.store_failed_lately();
        self.restored_up_to.filter(|_| may_restore)
    }

    /// Adds the next pending deliveries of the store.
    pub(super) fn restore_more(&mut self, more: Vec<PendingDelivery>) {
        let last = more.last().map(PendingDelivery::order);
        self.restored_up_to = last.filter(|_| more.len() >= MAX_PENDING);
        self.restore(more);
    }

    /// Queues the events of a page that the subscription's filter passes.
    pub(super) fn add_page(&mut self, page: &LogPage, directory: &ChannelDirectory) {
        let now = self.timeline.time_of_day();
        for delivery in new_deliveries(page, &self.subscription, directory, now) {
            if let Some(waiting) = self.queue.add(delivery) {
                self.add_progress(waiting);
            }
        }
    }

    /// Adds a delivery to what is stored next.
    pub(super) fn add_progress(&mut self, mut delivery: Delivery) {
        let stored = |at| self.timeline.to_time_of_day(at);
        delivery.next_attempt_at = delivery.next_attempt_at.map(stored);
        delivery.cooldown_until = delivery.cooldown_until.map(stored);
        self.progress.add(delivery, Instant::now());
    }

    /// Returns the next delivery to send besides `in_flight` ones. A failing endpoint gets one
    /// probe at a time.
    pub(super) fn take_next(&mut self, in_flight: usize) -> Option<QueuedDelivery> {
        let now = self.timeline.now();
        if self.endpoint.ready_at() > now {
            return None;
        }
        if self.is_failing() {
            let may_probe = self.may_probe(in_flight);
            let probe = may_probe.then(|| self.queue.take_probe(now)).flatten()?;
            self.endpoint.breaker.probe_started();
            return Some(probe);
        }
        let may_send = self.has_free_slot(in_flight)
            && self.queue.has_due(now)
            && self.turns.may_send(Instant::now());
        let next = may_send.then(|| self.queue.take_next(now)).flatten()?;
        self.turns.sent();
        Some(next)
    }

    /// Applies the outcome of an attempt that began at `began`.
    pub(super) fn attempt_completed(
        &mut self,
        mut delivery: Delivery,
        began: Timestamp,
        outcome: &Result<Delivered, SendError>,
    ) -> AttemptOutcome {
        let (was_failing, now) = (self.is_failing(), self.timeline.now());
        let completed = self.timeline.time_of_day();
        if was_failing && outcome.is_ok() {
            // Before the success: it quarantines the messages that failed in the outage.
            let breaker = &self.endpoint.breaker;
            self.queue
                .make_ready(now, |message| breaker.is_quarantined(message));
        }
        let times = AttemptTimes {
            began,
            completed,
            now,
            subscription_changed: self.subscription.updated_at,
        };
        let result = self.endpoint.complete(&mut delivery, outcome, times);
        if was_failing != self.is_failing() {
            self.progress.failing_since = self.is_failing().then_some(completed);
        }
        for ended in self.queue.complete(delivery) {
            self.add_progress(ended);
        }
        result
    }

    /// Schedules a delivery again that the store did not return.
    pub(super) fn reschedule_unread(&mut self, delivery: &PendingDelivery) {
        self.endpoint.breaker.probe_cancelled();
        let at = plus(self.timeline.now(), UNREAD_DELAY);
        self.queue.reschedule(delivery, at);
    }

    /// Returns whether the endpoint's circuit breaker is open.
    pub(super) const fn is_failing(&self) -> bool {
        self.endpoint.breaker.is_open()
    }

    /// Returns whether the endpoint has failed for so long that its subscription is paused.
    pub(super) fn has_failed_too_long(&self) -> bool {
        let (limit, now) = (self.settings.pause_after, self.timeline.now());
        self.endpoint.breaker.has_failed_for(limit, now)
    }

    fn is_full(&self) -> bool {
        self.queue.stored() >= self.settings.max_pending
    }

    /// Returns whether too many deliveries are pending, if that was not reported yet.
    pub(super) fn newly_full(&mut self) -> Option<bool> {
        let full = if self.reported_full {
            self.queue.stored() >= self.settings.max_pending / 2
        } else {
            self.is_full()
        };
        (std::mem::replace(&mut self.reported_full, full) != full).then_some(full)
    }

    fn has_free_slot(&self, in_flight: usize) -> bool {
        in_flight < self.settings.max_in_flight && self.share.allows_attempt(in_flight)
    }

    fn may_probe(&self, in_flight: usize) -> bool {
        in_flight == 0 && !self.lease.store_failed_lately()
    }

    /// Returns how many reports to read next, or `None` if no more of the log is needed now.
    ///
    /// Pending deliveries of the store come first. For a failing endpoint, one untried event is
    /// enough: it may succeed where others fail.
    pub(super) fn read_size(&self) -> Option<NonZeroU16> {
        let (buffered, room) = (self.queue.unstored(), self.share.room());
        let has_room = buffered == 0 || buffered < room.min(self.settings.max_buffered);
        let has_probe = self.is_failing() && self.queue.has_ready();
        let must_wait = has_probe || self.restored_up_to.is_some() || self.is_full();
        if !has_room || must_wait || self.lease.store_failed_lately() {
            return None;
        }
        if self.is_failing() {
            return Some(MIN_READ);
        }
        let half = u16::try_from(room / 2).unwrap_or(u16::MAX).min(MAX_READ);
        NonZeroU16::new(half)
            .map(|size| size.max(MIN_READ))
            .or(Some(MIN_READ))
    }

    /// Returns the position that may be stored now.
    pub(super) fn storable_position(&self) -> LogPosition {
        self.queue.storable_position(self.log.position())
    }

    /// Returns when progress is written next, if there is any.
    pub(super) fn write_due_at(&self) -> Option<Instant> {
        let (interval, min_gap) = (self.settings.write_interval, self.share.min_write_gap());
        let position = self.storable_position();
        self.progress.due_at(position, interval, min_gap)
    }

    /// Returns when the dispatcher has something to do even if nothing happens before.
    pub(super) fn wake_at(&self, in_flight: usize) -> Instant {
        let term = self.lease.term();
        let store = if let Some(retry_at) = self.lease.store_retry_at() {
            retry_at.min(term.expires_at())
        } else {
            let write_at = self.write_due_at();
            write_at.map_or(term.renews_at(), |at| at.min(term.renews_at()))
        };
        if term.is_over_quota() {
            return store;
        }
        if self.restorable_after().is_some() {
            return Instant::now();
        }
        let next = self.next_attempt_at(in_flight);
        next.map_or(store, |at| at.min(store))
    }

    /// Returns when the next attempt may begin, unless another one has to complete before.
    fn next_attempt_at(&self, in_flight: usize) -> Option<Instant> {
        let now = self.timeline.now();
        let probing = self.is_failing();
        let at = if probing {
            let probe_at = self.queue.next_probe_at(now);
            probe_at.filter(|_| self.may_probe(in_flight))?
        } else if in_flight >= self.settings.max_in_flight {
            return None;
        } else if self.queue.has_due(now) {
            now
        } else {
            self.queue.next_scheduled()?
        };
        let at = at.max(self.endpoint.ready_at());
        if at > now {
            return Some(Instant::now() + elapsed(now, at));
        }
        if !probing && !self.has_free_slot(in_flight) {
            return Some(Instant::now() + SLOT_POLL_INTERVAL);
        }
        let turn = self.turns.next().filter(|_| !probing);
        Some(turn.unwrap_or_else(Instant::now))
    }
}

fn random_seed(bytes: &[u8]) -> u64 {
    bytes.last_chunk().copied().map_or(0, u64::from_le_bytes)
}
