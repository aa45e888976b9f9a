//! Which delivery is next: those of one message one after the other, those of
//! different messages side by side.
//!
//! Pure bookkeeping without a clock or a store, so that its rules can be tested
//! alone.

use std::collections::{BTreeSet, HashMap, VecDeque};

use domain::{Delivery, DeliveryState, LogPosition, MessageKey, Timestamp};

/// Where a delivery stands among those of its subscription.
type Place = (LogPosition, i64, u8);

/// The deliveries of one subscription that are still to be made.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    of_message: HashMap<MessageKey, Lane>,
    /// Messages whose first delivery may be tried now.
    ready: VecDeque<MessageKey>,
    /// Messages whose first delivery is to be tried at some time.
    due: BTreeSet<(Timestamp, Place, MessageKey)>,
    /// Deliveries that no store knows of.
    unrecorded: BTreeSet<Place>,
    /// How many there are in all.
    open: usize,
}

/// The deliveries of one message, the next one first.
#[derive(Debug, Default)]
struct Lane {
    queue: VecDeque<Delivery>,
    flying: bool,
}

impl Lanes {
    /// Takes over what a store knows to be open.
    pub(super) fn restore(&mut self, mut open: Vec<Delivery>) {
        open.sort_by_key(Delivery::place);
        self.open += open.len();
        for delivery in open {
            let message = delivery.message.clone();
            let lane = self.of_message.entry(message.clone()).or_default();
            lane.queue.push_back(delivery);
            if let ([first], []) = lane.queue.as_slices() {
                match first.next_attempt_at {
                    Some(at) => {
                        self.due.insert((at, first.place(), message));
                    }
                    None => self.ready.push_back(message),
                }
            }
        }
    }

    /// Adds an event that was read from the log. If it has to wait for one that
    /// is being retried, it is returned to be recorded: it may take long. No
    /// event is recorded before an earlier one of its message. One that is open
    /// already is not added again.
    pub(super) fn add(&mut self, mut delivery: Delivery) -> Option<Delivery> {
        let message = delivery.message.clone();
        let lane = self.of_message.entry(message.clone()).or_default();
        if lane.queue.iter().any(|open| open.key == delivery.key) {
            return None;
        }
        self.open += 1;
        let place = delivery.place();
        let Some(first) = lane.queue.front() else {
            lane.queue.push_back(delivery);
            self.unrecorded.insert(place);
            self.ready.push_back(message);
            return None;
        };
        // A store that knew this one and not an earlier one of its message would have
        // this one sent first after a restart.
        let mut others = lane.queue.iter();
        let first_failed = !lane.flying
            && first.attempts.count() > 0
            && !others.any(|other| self.unrecorded.contains(&other.place()));
        delivery.state = DeliveryState::Waiting;
        delivery.next_attempt_at = None;
        lane.queue.push_back(delivery.clone());
        if first_failed {
            return Some(delivery);
        }
        self.unrecorded.insert(place);
        None
    }

    /// The next delivery to try, which is under way then.
    pub(super) fn next(&mut self, now: Timestamp) -> Option<Delivery> {
        while let Some((at, ..)) = self.due.first()
            && *at <= now
            && let Some((.., message)) = self.due.pop_first()
        {
            self.ready.push_back(message);
        }
        let message = self.ready.pop_front()?;
        self.start(&message)
    }

    /// The delivery that is due first, even if its time has not come: a target
    /// that takes nothing is asked with one alone.
    pub(super) fn probe(&mut self) -> Option<Delivery> {
        let message = match self.due.pop_first() {
            Some((.., message)) => message,
            None => self.ready.pop_front()?,
        };
        self.start(&message)
    }

    fn start(&mut self, message: &MessageKey) -> Option<Delivery> {
        let lane = self.of_message.get_mut(message)?;
        lane.flying = true;
        lane.queue.front().cloned()
    }

    /// The delivery under way of this message is over: delivered, given up, or
    /// to be tried again. Returns what is to be recorded.
    pub(super) fn ended(&mut self, delivery: Delivery) -> Vec<Delivery> {
        let message = delivery.message.clone();
        let Some(lane) = self.of_message.get_mut(&message) else {
            return Vec::new();
        };
        lane.flying = false;
        let Some(first) = lane.queue.front_mut() else {
            return Vec::new();
        };
        self.unrecorded.remove(&delivery.place());
        if delivery.state.is_open() {
            if let Some(at) = delivery.next_attempt_at {
                self.due.insert((at, delivery.place(), message));
            }
            *first = delivery;
            // Those behind it may wait for long: they must not hold up the
            // position in the log.
            let unrecorded = &mut self.unrecorded;
            let rest = lane.queue.iter().enumerate();
            return rest
                .filter(|(place, each)| unrecorded.remove(&each.place()) || *place == 0)
                .map(|(_, each)| each.clone())
                .collect();
        }
        lane.queue.pop_front();
        self.open = self.open.saturating_sub(1);
        if lane.queue.is_empty() {
            self.of_message.remove(&message);
        } else {
            self.ready.push_back(message);
        }
        vec![delivery]
    }

    /// What failed while the target took nothing may be tried at once.
    pub(super) fn make_all_due(&mut self) {
        let due = std::mem::take(&mut self.due);
        self.ready
            .extend(due.into_iter().map(|(.., message)| message));
    }

    /// When the next one is due, if none is ready.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, ..)| *at)
    }

    /// Whether one may be tried then.
    pub(super) fn has_ready_at(&self, now: Timestamp) -> bool {
        !self.ready.is_empty() || self.next_due().is_some_and(|due| due <= now)
    }

    /// Up to where in the log everything is delivered or known to the store, if
    /// it was read up to `read`.
    pub(super) fn position(&self, read: LogPosition) -> LogPosition {
        match self.unrecorded.first() {
            Some((first, ..)) => LogPosition(first.0.saturating_sub(1)).min(read),
            None => read,
        }
    }

    /// How many deliveries only stand here.
    pub(super) fn unrecorded(&self) -> usize {
        self.unrecorded.len()
    }

    /// How many there are in all.
    pub(super) const fn open(&self) -> usize {
        self.open
    }
}

#[cfg(test)]
mod tests;
