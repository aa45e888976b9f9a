//! How one row of the table of events is measured, once.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use domain::EventType;

use super::feed::{self, From, PRIVATE_TARGETS};
use super::row::{Beside, Row, Subject};
use super::subscriber::{Arrival, Manner, Subscriber};
use super::told::Told;
use crate::database::Database;
use crate::latencies::Latencies;
use crate::load::{Load, Loaded, per_second};
use crate::measure::Bench;
use crate::moment::{self, Moment, latencies};
use crate::receiver::Receiver;
use crate::row::Measured;

/// At which rate the delay of events is measured.
const DELAY_RATE: u32 = 1_000;

/// From how many connections intake is measured.
const CONNECTIONS: usize = 256;

/// How many subscriptions there are beside intake, the hanging one not counted.
const TAKING: usize = 4;

/// How long the last event may take.
const PATIENCE: Duration = Duration::from_mins(2);

impl Bench {
    /// Measures a row. `peak` is the rate without subscriptions in that round.
    pub fn events(
        &self,
        row: Row,
        stream: u64,
        peak: Option<f64>,
        backlog: u64,
    ) -> Result<Measured> {
        let database = row.on_postgres.then(|| self.postgres.fresh()).transpose()?;
        let receiver = self.receiver_on(database.as_ref(), true, &[PRIVATE_TARGETS])?;
        let place = DeliveryOrder {
            bench: self,
            database,
            receiver,
            stream,
        };
        let half = || {
            let peak = peak.context("the peak was not measured before")?;
            anyhow::Ok(Some(u32::try_from(moment::rounded(peak / 2.0))?))
        };
        let measured = match row.subject {
            Subject::Delay => place.delay(),
            Subject::QueueSaturation => place.backlog(backlog),
            Subject::Peak(beside) => place.intake(beside, None),
            Subject::HalfOfPeak(beside) => half().and_then(|rate| place.intake(beside, rate)),
        };
        let measured = measured.with_context(|| row.name())?;
        place.receiver.stop()?;
        Ok(measured)
    }
}

/// A receiver that is measured.
struct DeliveryOrder<'a> {
    bench: &'a Bench,
    // The receiver ends before its database is dropped.
    receiver: Receiver,
    database: Option<Database<'a>>,
    stream: u64,
}

impl DeliveryOrder<'_> {
    fn operator(&self) -> SocketAddr {
        self.receiver.operator()
    }

    fn load(&self, connections: usize, rate: Option<u32>) -> Load {
        Load {
            connections,
            rate,
            warm_up: self.bench.warm_up,
            measured: self.bench.measured,
            ..Load::new(self.receiver.public(), self.stream)
        }
    }

    fn moment(&self) -> Result<Moment> {
        let postgres = self.database.as_ref().map(|_| &self.bench.postgres);
        Moment::of(self.receiver.pid(), postgres, None)
    }

    fn check(&self, taken: u64) -> Result<()> {
        self.bench
            .check(taken, self.database.as_ref(), &self.receiver)
    }

    /// From the answer to a report until its event is there.
    fn delay(&self) -> Result<Measured> {
        let subscriber = Subscriber::start()?;
        let id = feed::subscribe(self.operator(), &subscriber.url(), From::Now)?;
        feed::wait_until_served(self.operator(), &[id])?;
        let load = Load {
            keeps_answers: true,
            ..self.load(64, Some(DELAY_RATE))
        };
        let (loaded, before, after) = load.run(|| (self.moment(), subscriber.taken()))?;
        self.check(loaded.taken)?;
        let arrivals = self.until_all_told(&subscriber)?;
        let delays = delays(&loaded, &arrivals);
        ensure!(
            delays.count() * 100 >= u64::try_from(loaded.answers.len())? * 99,
            "only {} of {} reports made an event",
            delays.count(),
            loaded.answers.len()
        );
        let [p50, p99, p999] = latencies(&delays);
        Ok(Measured {
            p50,
            p99,
            p999,
            ..measured(&loaded, &(before.0?, before.1), &(after.0?, after.1))
        })
    }

    /// Events that were stored before.
    fn backlog(&self, events: u64) -> Result<Measured> {
        let load = Load {
            warm_up: Duration::ZERO,
            measured: Duration::from_mins(5),
            enough: Some(events),
            ..self.load(64, None)
        };
        let (loaded, (), ()) = load.run(|| ())?;
        self.check(loaded.taken)?;
        let subscriber = Subscriber::start()?;
        let before = self.moment()?;
        feed::subscribe(self.operator(), &subscriber.url(), From::Oldest)?;
        let stored = feed::pull(self.operator())?.len();
        let stored = u64::try_from(stored)?;
        let began = Instant::now();
        while subscriber.taken() < stored && began.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(5));
        }
        let after = self.moment()?;
        let arrivals = self.until_all_told(&subscriber)?;
        let window = arrivals
            .first()
            .zip(arrivals.last())
            .map(|(first, last)| last.at.duration_since(first.at))
            .unwrap_or_default();
        let cost = moment::cost(&before, &after, stored, window);
        Ok(Measured {
            reports: None,
            events: Some(per_second(stored, window)),
            ..moment::of(&cost)
        })
    }

    /// Reports, beside subscriptions or not.
    fn intake(&self, beside: Beside, rate: Option<u32>) -> Result<Measured> {
        let subscribers = match beside {
            Beside::Nothing => Vec::new(),
            Beside::Subscriptions => self.subscribers()?,
        };
        let taken = || subscribers.iter().map(Subscriber::taken).sum::<u64>();
        let load = self.load(CONNECTIONS, rate);
        let (loaded, before, after) = load.run(|| (self.moment(), taken()))?;
        self.check(loaded.taken)?;
        let measured = measured(&loaded, &(before.0?, before.1), &(after.0?, after.1));
        Ok(Measured {
            events: measured.events.filter(|_| beside == Beside::Subscriptions),
            ..measured
        })
    }

    /// Some that take events, and one that hangs.
    fn subscribers(&self) -> Result<Vec<Subscriber>> {
        let (mut subscribers, mut ids) = (Vec::new(), Vec::new());
        for place in 0..=TAKING {
            let subscriber = Subscriber::counting()?;
            if place == TAKING {
                subscriber.set(Manner::Hangs);
            }
            ids.push(feed::subscribe(
                self.operator(),
                &subscriber.url(),
                From::Now,
            )?);
            subscribers.push(subscriber);
        }
        feed::wait_until_served(self.operator(), &ids)?;
        Ok(subscribers)
    }

    /// What came until everything there is was told.
    fn until_all_told(&self, subscriber: &Subscriber) -> Result<Vec<Arrival>> {
        let events = feed::pull(self.operator())?;
        let began = Instant::now();
        loop {
            let arrivals = subscriber.arrivals();
            let told = Told::compare(&events, &arrivals);
            if told.is_good() && subscriber.strange() == 0 {
                return Ok(arrivals);
            }
            ensure!(
                began.elapsed() < PATIENCE && told.out_of_order + told.invented == 0,
                "not everything was told in order: {told:?}"
            );
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// What came of a load between two moments, at which so many events were taken.
fn measured(loaded: &Loaded, before: &(Moment, u64), after: &(Moment, u64)) -> Measured {
    let cost = moment::cost(&before.0, &after.0, loaded.requests, loaded.window);
    let [p50, p99, p999] = latencies(&loaded.latencies);
    Measured {
        reports: Some(loaded.reports_per_second()),
        events: Some(per_second(after.1 - before.1, loaded.window)),
        p50,
        p99,
        p999,
        ..moment::of(&cost)
    }
}

/// How long after its answer the event of each report came. One that came before
/// its answer had no delay.
fn delays(loaded: &Loaded, arrivals: &[Arrival]) -> Latencies {
    let mut came: HashMap<(&str, &str), Instant> = HashMap::new();
    for Arrival { event, at, .. } in arrivals {
        if let EventType::Moved(status) = event.event_type {
            came.entry((&event.sid, status.as_str())).or_insert(*at);
        }
    }
    let mut delays = Latencies::default();
    for (report, answered) in &loaded.answers {
        let sid = report.sid.to_string();
        if let Some(at) = came.get(&(sid.as_str(), report.step.status)) {
            delays.add(at.saturating_duration_since(*answered));
        }
    }
    delays
}
