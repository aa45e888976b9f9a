//! The rules of the lanes together: whatever is added, lands, fails or is taken
//! over, in whichever order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// What happens next. Numbers are taken modulo what there is to choose from.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The next event is read from the log.
    Read,
    /// So many may be under way; time passes before.
    Start { window: usize, after: i64 },
    /// The target takes nothing and is asked with one.
    Probe,
    /// One that is under way ends.
    Land { which: usize, how: Landing },
    /// The target is back.
    AllDue,
    /// What has ended is taken down, with the position.
    Record,
    /// The worker dies; another one goes on from what the store knows.
    Die,
}

#[derive(Clone, Copy, Debug)]
enum Landing {
    Delivered,
    GivenUp,
    Failed(i64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let landing = prop_oneof![
        3 => Just(Landing::Delivered),
        1 => Just(Landing::GivenUp),
        3 => (0i64..20).prop_map(Landing::Failed),
    ];
    prop_oneof![
        5 => Just(Step::Read),
        4 => (1usize..5, 0i64..8).prop_map(|(window, after)| Step::Start { window, after }),
        1 => Just(Step::Probe),
        6 => (any::<usize>(), landing).prop_map(|(which, how)| Step::Land { which, how }),
        1 => Just(Step::AllDue),
        3 => Just(Step::Record),
        1 => Just(Step::Die),
    ]
}

/// A worker, its store and its target.
struct World {
    log: Vec<Delivery>,
    lanes: Lanes,
    now: i64,
    /// How much of the log was read.
    read: usize,
    /// The positions of the events that are in the lanes.
    held: BTreeSet<i64>,
    flying: Vec<Delivery>,
    /// What was returned to be recorded, and is not yet.
    noted: Vec<Delivery>,
    /// What the store knows, by position.
    stored: BTreeMap<i64, Delivery>,
    /// The position that the store knows.
    position: i64,
    /// The positions of the events that have ended: in any life, and in this one.
    ended: BTreeSet<i64>,
    ended_here: BTreeSet<i64>,
    /// The positions of those that this life was begun with.
    taken_over: BTreeSet<i64>,
}

impl World {
    /// A log of events of these messages, each at the next even position.
    fn new(messages: &[u8]) -> Self {
        let mut revisions = BTreeMap::new();
        let log = (1..).zip(messages).map(|(place, message)| {
            let revision = revisions.entry(message).or_insert(0);
            *revision += 1;
            event(*message, place * 2, *revision)
        });
        Self {
            log: log.collect(),
            lanes: Lanes::default(),
            now: 0,
            read: 0,
            held: BTreeSet::new(),
            flying: Vec::new(),
            noted: Vec::new(),
            stored: BTreeMap::new(),
            position: 0,
            ended: BTreeSet::new(),
            ended_here: BTreeSet::new(),
            taken_over: BTreeSet::new(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Read => self.read(),
            Step::Start { window, after } => {
                self.now += after;
                while self.flying.len() < window
                    && let Some(entry) = self.lanes.next(at(self.now))
                {
                    self.start(entry);
                }
            }
            Step::Probe if self.flying.is_empty() => {
                if let Some(entry) = self.lanes.probe(at(self.now)) {
                    self.start(entry);
                }
            }
            Step::Land { which, how } if !self.flying.is_empty() => {
                self.land(which % self.flying.len(), how);
            }
            Step::Probe | Step::Land { .. } => {}
            Step::AllDue => self.lanes.make_all_due(at(self.now), |_| false),
            Step::Record => self.record(),
            Step::Die => self.die(),
        }
        self.check();
    }

    fn read(&mut self) {
        let Some(next) = self.log.get(self.read).cloned() else {
            return;
        };
        self.read += 1;
        let position = next.position.0;
        // One that the worker before left open, behind the position it left, may end
        // before the log is read up to it: after a death events come again.
        if self.ended_here.remove(&position) {
            assert!(
                self.taken_over.remove(&position),
                "{position} is read twice"
            );
        }
        self.held.insert(position);
        self.noted.extend(self.lanes.add(next));
    }

    /// What only the store has is read there, or in what is to be recorded.
    fn start(&mut self, entry: Entry) {
        let delivery = match entry {
            Entry::Here(delivery) => *delivery,
            Entry::Stored(open) => {
                let noted = self.noted.iter().rev().find(|it| it.key == open.key);
                let known = noted.or_else(|| self.stored.get(&open.position.0));
                let known = known.expect("it was recorded");
                assert_eq!(PendingDelivery::from(known), open);
                known.clone()
            }
        };
        let position = delivery.position.0;
        assert!(self.held.contains(&position), "it is one of these");
        assert!(!self.ended_here.contains(&position), "it comes once");
        let of_message = |each: &&Delivery| each.message == delivery.message;
        let others = self.flying.iter().find(of_message);
        assert!(others.is_none(), "one of a message at a time: {others:?}");
        let before = self.log.iter().filter(of_message);
        for earlier in before.filter(|each| each.revision < delivery.revision) {
            let has_ended = self.ended.contains(&earlier.position.0);
            assert!(has_ended, "{position} overtakes {}", earlier.position);
        }
        self.flying.push(delivery);
    }

    fn land(&mut self, which: usize, how: Landing) {
        let delivery = self.flying.swap_remove(which);
        let position = delivery.position.0;
        let ended = match how {
            Landing::Delivered => delivered(delivery),
            Landing::GivenUp => Delivery {
                state: DeliveryState::Dead,
                ..delivered(delivery)
            },
            Landing::Failed(pause) => failed(delivery, self.now + pause),
        };
        if !ended.state.is_open() {
            self.ended.insert(position);
            self.ended_here.insert(position);
            self.held.remove(&position);
        }
        let recorded = self.lanes.ended(ended.clone());
        assert!(recorded.contains(&ended), "what became of it is recorded");
        self.noted.extend(recorded);
    }

    fn record(&mut self) {
        for delivery in self.noted.drain(..) {
            self.stored.insert(delivery.position.0, delivery);
        }
        let position = self.lanes.position(LogPosition(self.read_up_to())).0;
        self.position = position.max(self.position);
    }

    fn read_up_to(&self) -> i64 {
        i64::try_from(self.read * 2).unwrap().max(self.position)
    }

    fn die(&mut self) {
        let open = self.stored.values().filter(|each| each.state.is_open());
        let open: Vec<_> = open.cloned().collect();
        self.held = open.iter().map(|each| each.position.0).collect();
        self.taken_over = self.held.clone();
        self.lanes = Lanes::default();
        // The store promises the order; the lanes do not rely on it.
        let open = open.iter().rev().map(PendingDelivery::from);
        self.lanes.restore(open.collect());
        self.flying.clear();
        self.noted.clear();
        self.ended_here.clear();
        self.read = usize::try_from(self.position / 2).unwrap();
    }

    fn check(&self) {
        assert_eq!(self.lanes.open, self.held.len());
        let known = self.noted.iter().map(|each| each.position.0);
        let known: BTreeSet<_> = known.chain(self.stored.keys().copied()).collect();
        let only_here = self.held.difference(&known).count();
        assert!(self.lanes.unrecorded() >= only_here);
        assert!(self.lanes.unrecorded() <= self.held.len());
        for event in self.log.iter().filter(|it| it.position.0 <= self.position) {
            let known = self.stored.contains_key(&event.position.0);
            assert!(
                known,
                "the position passes {}, which is lost",
                event.position
            );
        }
    }

    /// Everything is taken from now on.
    fn finish(&mut self) {
        let most = 10 * (self.log.len() + 1);
        for _ in 0..most {
            self.step(Step::Read);
            self.step(Step::Start {
                window: 3,
                after: 100,
            });
            let how = Landing::Delivered;
            self.step(Step::Land { which: 0, how });
            self.step(Step::Record);
        }
    }
}

proptest! {
    #[test]
    fn order_is_kept_and_nothing_is_lost_or_given_twice(
        messages in prop::collection::vec(0u8..4, 0..16),
        steps in prop::collection::vec(any_step(), 0..120),
    ) {
        let mut world = World::new(&messages);
        for step in steps {
            world.step(step);
        }
        world.finish();
        prop_assert_eq!(world.ended.len(), messages.len());
        prop_assert_eq!((world.lanes.open, world.lanes.unrecorded()), (0, 0));
        prop_assert_eq!(world.position, world.read_up_to());
        prop_assert!(world.stored.values().all(|each| !each.state.is_open()));
        prop_assert_eq!(world.lanes.next(at(i64::from(i32::MAX))), None);
        prop_assert!(world.lanes.of_message.is_empty());
    }
}
