//! Which delivery is next: those of one message one after the other, those of
//! different messages side by side.
//!
//! Pure bookkeeping without a clock or a store, so that its rules can be tested
//! alone.

use std::collections::{BTreeSet, HashMap, VecDeque};

use domain::delivery::{DeliveryOrder, PendingDelivery};
use domain::{Delivery, DeliveryKey, DeliveryState, LogPosition, MessageKey, Timestamp};

/// The deliveries of one subscription that are still to be made.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    of_message: HashMap<MessageKey, Lane>,
    /// Messages whose first delivery may be tried now.
    ready: VecDeque<MessageKey>,
    /// Messages whose first delivery is to be tried at some time.
    due: BTreeSet<(Timestamp, DeliveryOrder, MessageKey)>,
    /// Deliveries that no store knows of.
    unrecorded: BTreeSet<DeliveryOrder>,
    /// How many there are in all.
    open: usize,
    /// How many tries have begun.
    tries: u64,
}

/// The deliveries of one message, the next one first.
#[derive(Debug, Default)]
struct Lane {
    queue: VecDeque<Entry>,
    flying: bool,
    /// Which of all tries its last one was; 0: none yet.
    last_try: u64,
}

/// A delivery that is still to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// It only stands here.
    Here(Box<Delivery>),
    /// It was handed out to be recorded, or came from there: the rest of it is to
    /// be read when it is tried. So tens of thousands of them are little.
    Stored(PendingDelivery),
}

impl Entry {
    fn stored(delivery: &Delivery) -> Self {
        Self::Stored(delivery.into())
    }

    fn key(&self) -> DeliveryKey {
        match self {
            Self::Here(delivery) => delivery.key,
            Self::Stored(open) => open.key,
        }
    }

    fn next_attempt_at(&self) -> Option<Timestamp> {
        match self {
            Self::Here(delivery) => delivery.next_attempt_at,
            Self::Stored(open) => open.next_attempt_at,
        }
    }

    /// Whether the target has asked to be left alone with it.
    fn rests(&self) -> bool {
        match self {
            Self::Here(delivery) => delivery.rests_until.is_some(),
            Self::Stored(open) => open.rests_until.is_some(),
        }
    }

    /// Takes it out to be recorded, if it only stands here.
    fn take(&mut self) -> Option<Delivery> {
        let Self::Here(delivery) = self else {
            return None;
        };
        let stored = Self::stored(delivery);
        match std::mem::replace(self, stored) {
            Self::Here(delivery) => Some(*delivery),
            Self::Stored(_) => None,
        }
    }
}

impl Lane {
    /// When the first one may be tried that the target asked to be left alone with.
    fn rests(&self, at: Timestamp, now: Timestamp) -> bool {
        at > now && self.queue.front().is_some_and(Entry::rests)
    }
}

impl Lanes {
    /// Takes over what a store knows to be open, and nothing of which stands here
    /// already.
    pub(super) fn restore(&mut self, mut open: Vec<PendingDelivery>) {
        open.sort_by_key(PendingDelivery::place);
        self.open += open.len();
        for delivery in open {
            let (message, place) = (delivery.message.clone(), delivery.place());
            let at = delivery.next_attempt_at;
            let lane = self.of_message.entry(message.clone()).or_default();
            lane.queue.push_back(Entry::Stored(delivery));
            if lane.queue.len() == 1 {
                match at {
                    Some(at) => {
                        self.due.insert((at, place, message));
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
        if lane.queue.iter().any(|open| open.key() == delivery.key) {
            return None;
        }
        self.open += 1;
        let Some(first) = lane.queue.front() else {
            self.unrecorded.insert(delivery.place());
            lane.queue.push_back(Entry::Here(Box::new(delivery)));
            self.ready.push_back(message);
            return None;
        };
        // A store that knew this one and not an earlier one of its message would have
        // this one sent first after a restart.
        let first_failed = !lane.flying
            && first.next_attempt_at().is_some()
            && !lane.queue.iter().any(|it| matches!(it, Entry::Here(_)));
        delivery.state = DeliveryState::Waiting;
        delivery.next_attempt_at = None;
        if first_failed {
            lane.queue.push_back(Entry::stored(&delivery));
            return Some(delivery);
        }
        self.unrecorded.insert(delivery.place());
        lane.queue.push_back(Entry::Here(Box::new(delivery)));
        None
    }

    /// The next delivery to try, which is under way then.
    pub(super) fn next(&mut self, now: Timestamp) -> Option<Entry> {
        while let Some((at, ..)) = self.due.first()
            && *at <= now
            && let Some((.., message)) = self.due.pop_first()
        {
            self.ready.push_back(message);
        }
        let message = self.ready.pop_front()?;
        self.start(&message)
    }

    /// The one to ask a target with that takes nothing: of a message that was not
    /// tried, or of that whose last try is longest ago, even before its time. All
    /// have their turn, so that no event holds up the others.
    pub(super) fn probe(&mut self, now: Timestamp) -> Option<Entry> {
        if let Some(message) = self.ready.pop_front() {
            return self.start(&message);
        }
        let lanes = self.due.iter().filter_map(|due| {
            let lane = self.of_message.get(&due.2)?;
            (!lane.rests(due.0, now)).then_some((lane.last_try, due))
        });
        let (_, due) = lanes.min()?;
        let due = due.clone();
        self.due.remove(&due);
        self.start(&due.2)
    }

    /// When there is one to ask a target with that takes nothing.
    pub(super) fn next_probe(&self, now: Timestamp) -> Option<Timestamp> {
        if self.has_untried() {
            return Some(now);
        }
        let lanes = self.due.iter().filter_map(|(at, _, message)| {
            let lane = self.of_message.get(message)?;
            Some(if lane.rests(*at, now) { *at } else { now })
        });
        lanes.min()
    }

    fn start(&mut self, message: &MessageKey) -> Option<Entry> {
        let lane = self.of_message.get_mut(message)?;
        self.tries += 1;
        lane.last_try = self.tries;
        lane.flying = true;
        lane.queue.front().cloned()
    }

    /// The delivery under way of this message was not tried, and is to be at this
    /// time.
    pub(super) fn postponed(&mut self, delivery: &PendingDelivery, at: Timestamp) {
        if let Some(lane) = self.of_message.get_mut(&delivery.message) {
            lane.flying = false;
            let due = (at, delivery.place(), delivery.message.clone());
            self.due.insert(due);
        }
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
            *first = Entry::stored(&delivery);
            if let Some(at) = delivery.next_attempt_at {
                self.due.insert((at, delivery.place(), message));
            }
            // Those behind it may wait for long: they must not hold up the
            // position in the log.
            let mut recorded = vec![delivery];
            recorded.extend(lane.queue.iter_mut().filter_map(Entry::take));
            for each in &recorded {
                self.unrecorded.remove(&each.place());
            }
            return recorded;
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

    /// What failed while the target took nothing may be tried at once, but not
    /// what it asked to be left alone with, and not what `stays`.
    pub(super) fn make_all_due(&mut self, now: Timestamp, stays: impl Fn(&MessageKey) -> bool) {
        let due = std::mem::take(&mut self.due);
        for (at, place, message) in due {
            let lane = self.of_message.get(&message);
            if stays(&message) || lane.is_some_and(|lane| lane.rests(at, now)) {
                self.due.insert((at, place, message));
            } else {
                self.ready.push_back(message);
            }
        }
    }

    /// When the next one is due, if none is ready.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, ..)| *at)
    }

    /// Whether one may be tried then.
    pub(super) fn has_ready_at(&self, now: Timestamp) -> bool {
        !self.ready.is_empty() || self.next_due().is_some_and(|due| due <= now)
    }

    /// Whether one may be tried that need not be tried again.
    pub(super) fn has_untried(&self) -> bool {
        !self.ready.is_empty()
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

    /// How many the store knows of, or will soon.
    pub(super) fn recorded(&self) -> usize {
        self.open.saturating_sub(self.unrecorded.len())
    }
}

#[cfg(test)]
mod tests;
