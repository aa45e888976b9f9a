//! Model test: any sequence of reads, attempts, failures, writes and crashes keeps the order of
//! each message and loses nothing.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// One step. Numbers are taken modulo the number of choices.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The next event is read from the log.
    Read,
    /// Time passes, and attempts begin until `window` are in flight.
    Start { window: usize, after: i64 },
    /// A failing endpoint is probed.
    Probe,
    /// An attempt completes.
    Complete { which: usize, outcome: Outcome },
    /// The endpoint works again.
    MakeReady,
    /// Completed deliveries are stored, with the position.
    Write,
    /// The worker dies; another one continues with what the store has.
    Crash,
}

#[derive(Clone, Copy, Debug)]
enum Outcome {
    Delivered,
    GivenUp,
    Failed(i64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        3 => Just(Outcome::Delivered),
        1 => Just(Outcome::GivenUp),
        3 => (0i64..20).prop_map(Outcome::Failed),
    ];
    prop_oneof![
        5 => Just(Step::Read),
        4 => (1usize..5, 0i64..8).prop_map(|(window, after)| Step::Start { window, after }),
        1 => Just(Step::Probe),
        6 => (any::<usize>(), outcome).prop_map(|(which, outcome)| Step::Complete { which, outcome }),
        1 => Just(Step::MakeReady),
        3 => Just(Step::Write),
        1 => Just(Step::Crash),
    ]
}

/// A worker, its store and its endpoint.
struct Model {
    log: Vec<Delivery>,
    queue: PerMessageQueue,
    now: i64,
    /// Number of events read from the log.
    read: usize,
    /// Positions of the events in the queue.
    queued: BTreeSet<i64>,
    in_flight: Vec<Delivery>,
    /// Returned to be stored, and not stored yet.
    unwritten: Vec<Delivery>,
    /// Deliveries in the store, by position.
    stored: BTreeMap<i64, Delivery>,
    /// The position in the store.
    position: i64,
    /// Positions of the events that were delivered or given up: by any worker, and by this one.
    ended: BTreeSet<i64>,
    ended_by_worker: BTreeSet<i64>,
    /// Positions of the deliveries that this worker restored.
    restored: BTreeSet<i64>,
}

impl Model {
    /// Creates a log of events of these messages, each at the next even position.
    fn new(messages: &[u8]) -> Self {
        let mut revisions = BTreeMap::new();
        let log = (1..).zip(messages).map(|(place, message)| {
            let revision = revisions.entry(message).or_insert(0);
            *revision += 1;
            event(*message, place * 2, *revision)
        });
        Self {
            log: log.collect(),
            queue: PerMessageQueue::default(),
            now: 0,
            read: 0,
            queued: BTreeSet::new(),
            in_flight: Vec::new(),
            unwritten: Vec::new(),
            stored: BTreeMap::new(),
            position: 0,
            ended: BTreeSet::new(),
            ended_by_worker: BTreeSet::new(),
            restored: BTreeSet::new(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Read => self.read(),
            Step::Start { window, after } => {
                self.now += after;
                while self.in_flight.len() < window
                    && let Some(queued) = self.queue.take_next(at(self.now))
                {
                    self.start(queued);
                }
            }
            Step::Probe if self.in_flight.is_empty() => {
                if let Some(queued) = self.queue.take_probe(at(self.now)) {
                    self.start(queued);
                }
            }
            Step::Complete { which, outcome } if !self.in_flight.is_empty() => {
                self.complete(which % self.in_flight.len(), outcome);
            }
            Step::Probe | Step::Complete { .. } => {}
            Step::MakeReady => self.queue.make_ready(at(self.now), |_| false),
            Step::Write => self.write(),
            Step::Crash => self.crash(),
        }
        self.check();
    }

    fn read(&mut self) {
        let Some(next) = self.log.get(self.read).cloned() else {
            return;
        };
        self.read += 1;
        let position = next.position.0;
        // A delivery that was restored may end before the log is read up to it: after a crash
        // events come again.
        if self.ended_by_worker.remove(&position) {
            assert!(self.restored.remove(&position), "{position} is read twice");
        }
        self.queued.insert(position);
        self.unwritten.extend(self.queue.add(next));
    }

    /// Reads a stored delivery from the unwritten ones or the store.
    fn start(&mut self, queued: QueuedDelivery) {
        let delivery = match queued {
            QueuedDelivery::InMemory(delivery) => *delivery,
            QueuedDelivery::Stored(pending) => {
                let unwritten = self.unwritten.iter().rev().find(|it| it.key == pending.key);
                let known = unwritten.or_else(|| self.stored.get(&pending.position.0));
                let known = known.expect("it was stored");
                assert_eq!(PendingDelivery::from(known), pending);
                known.clone()
            }
        };
        let position = delivery.position.0;
        assert!(self.queued.contains(&position), "it is queued");
        assert!(!self.ended_by_worker.contains(&position), "it is sent once");
        let of_message = |each: &&Delivery| each.message == delivery.message;
        let others = self.in_flight.iter().find(of_message);
        assert!(
            others.is_none(),
            "one event of a message at a time: {others:?}"
        );
        let before = self.log.iter().filter(of_message);
        for earlier in before.filter(|each| each.revision < delivery.revision) {
            let has_ended = self.ended.contains(&earlier.position.0);
            assert!(has_ended, "{position} overtakes {}", earlier.position);
        }
        self.in_flight.push(delivery);
    }

    fn complete(&mut self, which: usize, outcome: Outcome) {
        let delivery = self.in_flight.swap_remove(which);
        let position = delivery.position.0;
        let ended = match outcome {
            Outcome::Delivered => delivered(delivery),
            Outcome::GivenUp => Delivery {
                state: DeliveryState::Dead,
                ..delivered(delivery)
            },
            Outcome::Failed(pause) => failed(delivery, self.now + pause),
        };
        if !ended.state.is_pending() {
            self.ended.insert(position);
            self.ended_by_worker.insert(position);
            self.queued.remove(&position);
        }
        let recorded = self.queue.complete(ended.clone());
        assert!(recorded.contains(&ended), "the outcome is stored");
        self.unwritten.extend(recorded);
    }

    fn write(&mut self) {
        for delivery in self.unwritten.drain(..) {
            self.stored.insert(delivery.position.0, delivery);
        }
        let position = self
            .queue
            .storable_position(LogPosition(self.read_up_to()))
            .0;
        self.position = position.max(self.position);
    }

    fn read_up_to(&self) -> i64 {
        i64::try_from(self.read * 2).unwrap().max(self.position)
    }

    fn crash(&mut self) {
        let pending = self.stored.values().filter(|each| each.state.is_pending());
        let pending: Vec<_> = pending.cloned().collect();
        self.queued = pending.iter().map(|each| each.position.0).collect();
        self.restored = self.queued.clone();
        self.queue = PerMessageQueue::default();
        // The store returns them in order; the queue does not rely on it.
        let pending = pending.iter().rev().map(PendingDelivery::from);
        self.queue.restore(pending.collect());
        self.in_flight.clear();
        self.unwritten.clear();
        self.ended_by_worker.clear();
        self.read = usize::try_from(self.position / 2).unwrap();
    }

    fn check(&self) {
        assert_eq!(self.queue.pending, self.queued.len());
        let known = self.unwritten.iter().map(|each| each.position.0);
        let known: BTreeSet<_> = known.chain(self.stored.keys().copied()).collect();
        let only_queued = self.queued.difference(&known).count();
        assert!(self.queue.unstored() >= only_queued);
        assert!(self.queue.unstored() <= self.queued.len());
        for event in self.log.iter().filter(|it| it.position.0 <= self.position) {
            let known = self.stored.contains_key(&event.position.0);
            assert!(
                known,
                "the position passes {}, which is not stored",
                event.position
            );
        }
    }

    /// Delivers everything.
    fn finish(&mut self) {
        let most = 10 * (self.log.len() + 1);
        for _ in 0..most {
            self.step(Step::Read);
            self.step(Step::Start {
                window: 3,
                after: 100,
            });
            let outcome = Outcome::Delivered;
            self.step(Step::Complete { which: 0, outcome });
            self.step(Step::Write);
        }
    }
}

proptest! {
    #[test]
    fn order_is_kept_and_no_event_is_lost_or_sent_twice(
        messages in prop::collection::vec(0u8..4, 0..16),
        steps in prop::collection::vec(any_step(), 0..120),
    ) {
        let mut model = Model::new(&messages);
        for step in steps {
            model.step(step);
        }
        model.finish();
        prop_assert_eq!(model.ended.len(), messages.len());
        prop_assert_eq!((model.queue.pending, model.queue.unstored()), (0, 0));
        prop_assert_eq!(model.position, model.read_up_to());
        prop_assert!(model.stored.values().all(|each| !each.state.is_pending()));
        prop_assert_eq!(model.queue.take_next(at(i64::from(i32::MAX))), None);
        prop_assert!(model.queue.messages.is_empty());
    }
}
