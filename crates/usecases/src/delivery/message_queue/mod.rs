//! Decides which delivery is next: those of one message in order, those of different messages in
//! parallel.

use std::collections::{BTreeSet, HashMap, VecDeque};

use domain::delivery::{DeliveryOrder, PendingDelivery};
use domain::{Delivery, DeliveryKey, DeliveryState, LogPosition, MessageKey, Timestamp};

/// The pending deliveries of one subscription, as a FIFO queue per message.
#[derive(Debug, Default)]
pub(super) struct PerMessageQueue {
    messages: HashMap<MessageKey, MessageFifo>,
    /// Messages whose first delivery may be sent now.
    ready: VecDeque<MessageKey>,
    /// Messages whose first delivery is retried at a time.
    scheduled: BTreeSet<(Timestamp, DeliveryOrder, MessageKey)>,
    /// Deliveries that are not in the store.
    unstored: BTreeSet<DeliveryOrder>,
    pending: usize,
    attempts: u64,
}

#[derive(Debug, Default)]
struct MessageFifo {
    deliveries: VecDeque<QueuedDelivery>,
    in_flight: bool,
    /// Number of its last attempt among all attempts; 0 before the first one.
    last_attempt: u64,
}

/// A pending delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum QueuedDelivery {
    /// It is not in the store.
    InMemory(Box<Delivery>),
    /// It is in the store, or was returned to be stored. The rest is read when it is sent, so tens
    /// of thousands need little memory.
    Stored(PendingDelivery),
}

impl QueuedDelivery {
    pub(super) fn key(&self) -> DeliveryKey {
        match self {
            Self::InMemory(delivery) => delivery.key,
            Self::Stored(pending) => pending.key,
        }
    }

    fn next_attempt_at(&self) -> Option<Timestamp> {
        match self {
            Self::InMemory(delivery) => delivery.next_attempt_at,
            Self::Stored(pending) => pending.next_attempt_at,
        }
    }

    fn has_cooldown(&self) -> bool {
        match self {
            Self::InMemory(delivery) => delivery.cooldown_until.is_some(),
            Self::Stored(pending) => pending.cooldown_until.is_some(),
        }
    }

    /// Moves it to the store: returns what has to be stored, unless it is there already.
    fn store(&mut self) -> Option<Delivery> {
        let Self::InMemory(delivery) = self else {
            return None;
        };
        let stored = Self::Stored((&**delivery).into());
        match std::mem::replace(self, stored) {
            Self::InMemory(delivery) => Some(*delivery),
            Self::Stored(_) => None,
        }
    }
}

impl MessageFifo {
    /// Returns whether the endpoint asked to delay the first delivery, which is scheduled at `at`.
    fn is_cooling_down(&self, at: Timestamp, now: Timestamp) -> bool {
        at > now
            && self
                .deliveries
                .front()
                .is_some_and(QueuedDelivery::has_cooldown)
    }
}

impl PerMessageQueue {
    /// Adds pending deliveries from the store, none of which is queued yet.
    pub(super) fn restore(&mut self, mut pending: Vec<PendingDelivery>) {
        pending.sort_by_key(PendingDelivery::order);
        self.pending += pending.len();
        for delivery in pending {
            let (message, place) = (delivery.message.clone(), delivery.order());
            let at = delivery.next_attempt_at;
            let fifo = self.messages.entry(message.clone()).or_default();
            fifo.deliveries.push_back(QueuedDelivery::Stored(delivery));
            if fifo.deliveries.len() == 1 {
                match at {
                    Some(at) => {
                        self.scheduled.insert((at, place, message));
                    }
                    None => self.ready.push_back(message),
                }
            }
        }
    }

    /// Adds an event from the log. Returns it to be stored if an earlier event of its message is
    /// being retried, which may take long. An event that is queued already is not added again.
    ///
    /// No event is stored before an earlier one of its message: after a restart it would be sent
    /// first.
    pub(super) fn add(&mut self, mut delivery: Delivery) -> Option<Delivery> {
        let message = delivery.message.clone();
        let fifo = self.messages.entry(message.clone()).or_default();
        if fifo.deliveries.iter().any(|it| it.key() == delivery.key) {
            return None;
        }
        self.pending += 1;
        let Some(first) = fifo.deliveries.front() else {
            self.unstored.insert(delivery.order());
            fifo.deliveries
                .push_back(QueuedDelivery::InMemory(Box::new(delivery)));
            self.ready.push_back(message);
            return None;
        };
        let all_stored = || {
            let mut queued = fifo.deliveries.iter();
            queued.all(|it| matches!(it, QueuedDelivery::Stored(_)))
        };
        let first_failed = !fifo.in_flight && first.next_attempt_at().is_some() && all_stored();
        delivery.state = DeliveryState::Waiting;
        delivery.next_attempt_at = None;
        if first_failed {
            let stored = QueuedDelivery::Stored((&delivery).into());
            fifo.deliveries.push_back(stored);
            return Some(delivery);
        }
        self.unstored.insert(delivery.order());
        fifo.deliveries
            .push_back(QueuedDelivery::InMemory(Box::new(delivery)));
        None
    }

    /// Returns the next delivery to send, which is in flight from now on.
    pub(super) fn take_next(&mut self, now: Timestamp) -> Option<QueuedDelivery> {
        while let Some((at, ..)) = self.scheduled.first()
            && *at <= now
            && let Some((.., message)) = self.scheduled.pop_first()
        {
            self.ready.push_back(message);
        }
        let message = self.ready.pop_front()?;
        self.start(&message)
    }

    /// Returns the delivery to probe a failing endpoint with: of a message without attempts, or of
    /// the one whose last attempt is oldest, even before its time. So no event blocks the others.
    pub(super) fn take_probe(&mut self, now: Timestamp) -> Option<QueuedDelivery> {
        if let Some(message) = self.ready.pop_front() {
            return self.start(&message);
        }
        let candidates = self.scheduled.iter().filter_map(|scheduled| {
            let fifo = self.messages.get(&scheduled.2)?;
            (!fifo.is_cooling_down(scheduled.0, now)).then_some((fifo.last_attempt, scheduled))
        });
        let (_, scheduled) = candidates.min()?;
        let scheduled = scheduled.clone();
        self.scheduled.remove(&scheduled);
        self.start(&scheduled.2)
    }

    /// Returns when there is a delivery to probe with.
    pub(super) fn next_probe_at(&self, now: Timestamp) -> Option<Timestamp> {
        if self.has_ready() {
            return Some(now);
        }
        let times = self.scheduled.iter().filter_map(|(at, _, message)| {
            let fifo = self.messages.get(message)?;
            Some(if fifo.is_cooling_down(*at, now) {
                *at
            } else {
                now
            })
        });
        times.min()
    }

    fn start(&mut self, message: &MessageKey) -> Option<QueuedDelivery> {
        let fifo = self.messages.get_mut(message)?;
        self.attempts += 1;
        fifo.last_attempt = self.attempts;
        fifo.in_flight = true;
        fifo.deliveries.front().cloned()
    }

    /// Schedules the delivery in flight again at `at`; it was not sent.
    pub(super) fn reschedule(&mut self, delivery: &PendingDelivery, at: Timestamp) {
        if let Some(fifo) = self.messages.get_mut(&delivery.message) {
            fifo.in_flight = false;
            let scheduled = (at, delivery.order(), delivery.message.clone());
            self.scheduled.insert(scheduled);
        }
    }

    /// Takes back the delivery in flight after its attempt: delivered, given up, or to be retried.
    /// Returns what has to be stored: if it is retried, also the later events of its message, so
    /// that they do not hold back the position.
    pub(super) fn complete(&mut self, delivery: Delivery) -> Vec<Delivery> {
        let message = delivery.message.clone();
        let Some(fifo) = self.messages.get_mut(&message) else {
            return Vec::new();
        };
        fifo.in_flight = false;
        let Some(first) = fifo.deliveries.front_mut() else {
            return Vec::new();
        };
        self.unstored.remove(&delivery.order());
        if delivery.state.is_pending() {
            *first = QueuedDelivery::Stored((&delivery).into());
            if let Some(at) = delivery.next_attempt_at {
                self.scheduled.insert((at, delivery.order(), message));
            }
            let mut stored = vec![delivery];
            let waiting = fifo.deliveries.iter_mut();
            stored.extend(waiting.filter_map(QueuedDelivery::store));
            for each in &stored {
                self.unstored.remove(&each.order());
            }
            return stored;
        }
        fifo.deliveries.pop_front();
        self.pending = self.pending.saturating_sub(1);
        if fifo.deliveries.is_empty() {
            self.messages.remove(&message);
        } else {
            self.ready.push_back(message);
        }
        vec![delivery]
    }

    /// Makes scheduled deliveries ready now that the endpoint works again, except those it asked
    /// to delay and those of `excluded` messages.
    pub(super) fn make_ready(&mut self, now: Timestamp, excluded: impl Fn(&MessageKey) -> bool) {
        for (at, place, message) in std::mem::take(&mut self.scheduled) {
            let fifo = self.messages.get(&message);
            if excluded(&message) || fifo.is_some_and(|fifo| fifo.is_cooling_down(at, now)) {
                self.scheduled.insert((at, place, message));
            } else {
                self.ready.push_back(message);
            }
        }
    }

    /// Returns when the next scheduled delivery is due.
    pub(super) fn next_scheduled(&self) -> Option<Timestamp> {
        self.scheduled.first().map(|(at, ..)| *at)
    }

    /// Returns whether a delivery may be sent at `now`.
    pub(super) fn has_due(&self, now: Timestamp) -> bool {
        self.has_ready() || self.next_scheduled().is_some_and(|at| at <= now)
    }

    /// Returns whether a delivery may be sent that is not scheduled for a retry.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Returns the position that may be stored if the log was read up to `read`: every event up to
    /// it is delivered or in the store.
    pub(super) fn storable_position(&self, read: LogPosition) -> LogPosition {
        match self.unstored.first() {
            Some((first, ..)) => LogPosition(first.0.saturating_sub(1)).min(read),
            None => read,
        }
    }

    /// Returns how many deliveries are not in the store.
    pub(super) fn unstored(&self) -> usize {
        self.unstored.len()
    }

    /// Returns how many deliveries are in the store, or were returned to be stored.
    pub(super) fn stored(&self) -> usize {
        self.pending.saturating_sub(self.unstored.len())
    }
}

#[cfg(test)]
mod tests;
