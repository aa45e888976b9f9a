//! The rules of the lanes one by one, and together: whatever is added, lands,
//! fails or is taken over, in whichever order.

use std::collections::{BTreeMap, BTreeSet};

use domain::delivery::Attempts;
use domain::{DeliveryKey, DeliveryStatus, EventType};
use proptest::prelude::*;
use testkit::builders::{failed_attempt, key, subscription_id};

use super::*;

/// When everything happens, in seconds.
fn at(seconds: i64) -> Timestamp {
    Timestamp::EPOCH.plus_micros(seconds * 1_000_000)
}

/// The event of a message at a place in the log.
fn event(message: u8, position: i64, revision: i64) -> Delivery {
    let event_type = EventType::Moved(DeliveryStatus::Sent);
    Delivery {
        key: DeliveryKey::new(subscription_id(1), position, event_type),
        position: LogPosition(position),
        event_type,
        message: key(&format!("SM{message}")),
        revision,
        state: DeliveryState::Retrying,
        attempts: Attempts::default(),
        created_at: at(0),
        next_attempt_at: None,
        finished_at: None,
        body: Some("{}".to_owned()),
    }
}

fn delivered(mut delivery: Delivery) -> Delivery {
    delivery.state = DeliveryState::Delivered;
    delivery.next_attempt_at = None;
    delivery
}

/// To be tried again at this time.
fn failed(mut delivery: Delivery, seconds: i64) -> Delivery {
    delivery.attempts.push(failed_attempt(seconds));
    delivery.state = DeliveryState::Retrying;
    delivery.next_attempt_at = Some(at(seconds));
    delivery
}

fn positions<'a>(deliveries: impl IntoIterator<Item = &'a Delivery>) -> Vec<i64> {
    let deliveries = deliveries.into_iter();
    deliveries.map(|each| each.position.0).collect()
}

/// All that can be tried now.
fn all_ready(lanes: &mut Lanes, seconds: i64) -> Vec<Delivery> {
    std::iter::from_fn(|| lanes.next(at(seconds))).collect()
}

#[test]
fn messages_go_side_by_side_and_the_events_of_one_after_each_other() {
    let mut lanes = Lanes::default();
    for (message, position, revision) in [(1, 1, 1), (1, 2, 2), (2, 3, 1), (1, 4, 3)] {
        assert_eq!(lanes.add(event(message, position, revision)), None);
    }
    let flying = all_ready(&mut lanes, 0);
    assert_eq!(positions(&flying), [1, 3]);
    assert_eq!(lanes.open(), 4);
    for delivery in flying.into_iter().rev() {
        assert_eq!(lanes.ended(delivered(delivery)).len(), 1);
    }
    assert_eq!(positions(&all_ready(&mut lanes, 0)), [2]);
    assert!(!lanes.has_ready());
}

#[test]
fn those_behind_one_that_failed_are_recorded_and_wait() {
    let mut lanes = Lanes::default();
    lanes.add(event(1, 1, 1));
    lanes.add(event(1, 2, 2));
    let first = lanes.next(at(0)).unwrap();
    // It is under way and may yet succeed.
    assert_eq!(lanes.add(event(1, 3, 3)), None);
    assert_eq!(lanes.position(LogPosition(3)), LogPosition(0));
    let recorded = lanes.ended(failed(first, 10));
    assert_eq!(positions(&recorded), [1, 2, 3]);
    let states: Vec<_> = recorded.iter().map(|each| each.state).collect();
    let (retrying, waiting) = (DeliveryState::Retrying, DeliveryState::Waiting);
    assert_eq!(states, [retrying, waiting, waiting]);
    assert_eq!(lanes.position(LogPosition(3)), LogPosition(3));

    let later = lanes.add(event(1, 4, 4)).unwrap();
    assert_eq!((later.state, later.next_attempt_at), (waiting, None));
    assert_eq!((lanes.open(), lanes.unrecorded()), (4, 0));
    assert_eq!(lanes.next_due(), Some(at(10)));
    assert_eq!(lanes.next(at(9)), None);
    let again = lanes.next(at(10)).unwrap();
    // The others are known already.
    assert_eq!(positions(&lanes.ended(failed(again, 30))), [1]);
    let again = lanes.next(at(30)).unwrap();
    assert_eq!(positions(&lanes.ended(delivered(again))), [1]);
    assert_eq!(positions(&all_ready(&mut lanes, 30)), [2]);
}

#[test]
fn none_is_recorded_before_an_earlier_one_of_its_message() {
    let mut lanes = Lanes::default();
    // Both were dead letters, and are tried again.
    lanes.restore(vec![failed(event(1, 1, 1), 0), failed(event(1, 2, 2), 0)]);
    let first = lanes.next(at(0)).unwrap();
    assert_eq!(lanes.add(event(1, 3, 3)), None);
    lanes.ended(delivered(first));
    // The second one has failed before; but the third one only stands here.
    assert_eq!(lanes.add(event(1, 4, 4)), None);
    assert_eq!(lanes.position(LogPosition(4)), LogPosition(2));
    let second = lanes.next(at(0)).unwrap();
    assert_eq!(positions(&lanes.ended(failed(second, 9))), [2, 3, 4]);
}

#[test]
fn one_that_is_open_is_not_added_again() {
    let mut lanes = Lanes::default();
    lanes.restore(vec![failed(event(1, 1, 1), 10)]);
    assert_eq!(lanes.add(event(1, 1, 1)), None);
    assert_eq!((lanes.open(), lanes.unrecorded()), (1, 0));
    let first = lanes.next(at(10)).unwrap();
    assert_eq!(lanes.add(event(1, 1, 1)), None);
    lanes.ended(delivered(first));
    assert_eq!((lanes.open(), lanes.next(at(99))), (0, None));
}

#[test]
fn what_a_store_knows_is_taken_over_in_the_order_of_events() {
    let mut lanes = Lanes::default();
    let waiting = |position, revision| Delivery {
        state: DeliveryState::Waiting,
        ..event(1, position, revision)
    };
    lanes.restore(vec![
        waiting(3, 3),
        waiting(2, 2),
        failed(event(1, 1, 1), 10),
        event(2, 4, 1),
    ]);
    assert_eq!(positions(&all_ready(&mut lanes, 0)), [4]);
    for position in 1..=3 {
        let next = all_ready(&mut lanes, 10);
        assert_eq!(positions(&next), [position]);
        lanes.ended(delivered(next.into_iter().next().unwrap()));
    }
    assert_eq!(lanes.position(LogPosition(9)), LogPosition(9));
}

#[test]
fn a_probe_is_the_one_that_is_due_first_even_before_its_time() {
    let mut lanes = Lanes::default();
    lanes.restore(vec![
        failed(event(1, 1, 1), 20),
        failed(event(2, 2, 1), 10),
        event(3, 3, 1),
    ]);
    let probes: Vec<_> = (0..3).filter_map(|_| lanes.probe()).collect();
    assert_eq!(positions(&probes), [2, 1, 3]);
    assert_eq!(lanes.probe(), None);
}

#[test]
fn what_failed_may_be_tried_at_once_when_the_target_is_back() {
    let mut lanes = Lanes::default();
    lanes.restore(vec![failed(event(1, 1, 1), 20), failed(event(2, 2, 1), 10)]);
    lanes.make_all_due();
    assert_eq!(lanes.next_due(), None);
    assert_eq!(positions(&all_ready(&mut lanes, 0)), [2, 1]);
}

#[test]
fn the_position_stands_before_the_first_event_that_only_stands_here() {
    let mut lanes = Lanes::default();
    for (message, position) in [(1, 10), (2, 20), (3, 30)] {
        lanes.add(event(message, position, 1));
    }
    let read = LogPosition(35);
    let [one, two, three] = <[_; 3]>::try_from(all_ready(&mut lanes, 0)).unwrap();
    lanes.ended(delivered(two));
    assert_eq!(lanes.position(read), LogPosition(9));
    lanes.ended(delivered(one));
    assert_eq!(lanes.position(read), LogPosition(29));
    lanes.ended(delivered(three));
    assert_eq!(lanes.position(read), read);
}

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
                    && let Some(delivery) = self.lanes.next(at(self.now))
                {
                    self.start(delivery);
                }
            }
            Step::Probe if self.flying.is_empty() => {
                if let Some(delivery) = self.lanes.probe() {
                    self.start(delivery);
                }
            }
            Step::Land { which, how } if !self.flying.is_empty() => {
                self.land(which % self.flying.len(), how);
            }
            Step::Probe | Step::Land { .. } => {}
            Step::AllDue => self.lanes.make_all_due(),
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

    fn start(&mut self, delivery: Delivery) {
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
        self.lanes.restore(open.into_iter().rev().collect());
        self.flying.clear();
        self.noted.clear();
        self.ended_here.clear();
        self.read = usize::try_from(self.position / 2).unwrap();
    }

    fn check(&self) {
        assert_eq!(self.lanes.open(), self.held.len());
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
        prop_assert_eq!((world.lanes.open(), world.lanes.unrecorded()), (0, 0));
        prop_assert_eq!(world.position, world.read_up_to());
        prop_assert!(world.stored.values().all(|each| !each.state.is_open()));
        prop_assert_eq!(world.lanes.next(at(i64::from(i32::MAX))), None);
        prop_assert!(world.lanes.of_message.is_empty());
    }
}
