//! How the rows of the table of events are measured, each once.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use domain::EventType;

use crate::database::Database;
use crate::events::delivery_check::DeliveryCheck;
use crate::events::feed::{self, PRIVATE_TARGETS, StartAt};
use crate::events::subscriber::{Arrival, Behavior, Subscriber};
use crate::latencies::Latencies;
use crate::load::{Load, LoadResult, per_second};
use crate::measure::Bench;
use crate::receiver::Receiver;
use crate::row::Measured;
use crate::sample::{UsageSample, costs, measured};
use crate::wait::until;

/// How many subscriptions are beside ingest, without the one whose endpoint hangs.
const ACCEPTING: usize = 4;

/// How long the last event may take.
const DELIVERY_LIMIT: Duration = Duration::from_mins(2);

/// A receiver that delivers events.
pub struct EventBench<'a> {
    bench: &'a Bench,
    // The receiver ends before its database is dropped.
    receiver: Receiver,
    database: Option<Database<'a>>,
}

impl Bench {
    pub fn events<'a>(
        &'a self,
        on_postgres: bool,
        measure: impl FnOnce(&EventBench<'a>) -> Result<Measured>,
    ) -> Result<Measured> {
        let database = self.database(on_postgres)?;
        let mut events = EventBench {
            bench: self,
            receiver: self.receiver_on(database.as_ref(), true, &[PRIVATE_TARGETS])?,
            database,
        };
        let measured = measure(&events)?;
        events.receiver.stop()?;
        Ok(measured)
    }
}

impl EventBench<'_> {
    fn operator(&self) -> SocketAddr {
        self.receiver.installation.operator
    }

    fn sample(&self) -> Result<UsageSample> {
        let postgres = self.database.as_ref().map(|_| &self.bench.postgres);
        UsageSample::take(self.receiver.pid(), postgres, None)
    }

    fn check(&self, accepted: u64) -> Result<()> {
        let database = self.database.as_ref();
        self.bench.check(accepted, database, &self.receiver)
    }

    /// Runs a load beside subscribers.
    fn run(&self, load: Load, subscribers: &[Subscriber]) -> Result<(LoadResult, Measured)> {
        let events = || subscribers.iter().map(Subscriber::accepted).sum::<u64>();
        let probe = || anyhow::Ok(self.sample()?.with_events(events()));
        let (result, before, after) = load.run(probe)?;
        self.check(result.accepted)?;
        let measured = measured(&result, &before?, &after?);
        Ok((result, measured))
    }

    /// From the answer to a report until its event arrives.
    pub fn delay(&self, load: impl Fn(SocketAddr) -> Load) -> Result<Measured> {
        let subscriber = Subscriber::start()?;
        let id = feed::subscribe(self.operator(), &subscriber.url(), StartAt::Now)?;
        feed::wait_until_served(self.operator(), &[id])?;
        let load = Load {
            records_answers: true,
            ..load(self.receiver.public())
        };
        let subscribers = [subscriber];
        let (result, measured) = self.run(load, &subscribers)?;
        let [subscriber] = &subscribers;
        let delays = delays(&result, &self.until_delivered(subscriber)?);
        ensure!(
            delays.count() * 100 >= u64::try_from(result.answers.len())? * 99,
            "only {} of {} reports led to an event",
            delays.count(),
            result.answers.len()
        );
        Ok(measured.with_latencies(&delays))
    }

    /// Events that were stored before.
    pub fn backlog(&self, load: impl Fn(SocketAddr) -> Load) -> Result<Measured> {
        let load = Load {
            warm_up: Duration::ZERO,
            measured: Duration::from_mins(5),
            enough: Some(self.bench.backlog),
            ..load(self.receiver.public())
        };
        let (result, (), ()) = load.run(|| ())?;
        self.check(result.accepted)?;
        let subscriber = Subscriber::start()?;
        let before = self.sample()?;
        feed::subscribe(self.operator(), &subscriber.url(), StartAt::Oldest)?;
        let stored = u64::try_from(feed::read_all(self.operator())?.len())?;
        until(DELIVERY_LIMIT, Duration::from_millis(5), || {
            subscriber.accepted() >= stored
        });
        let after = self.sample()?;
        let arrivals = self.until_delivered(&subscriber)?;
        let ends = arrivals.first().zip(arrivals.last());
        let window = ends.map(|(first, last)| last.at.duration_since(first.at));
        let window = window.unwrap_or_default();
        Ok(Measured {
            events: Some(per_second(stored, window)),
            ..costs(&before, &after, stored, window)
        })
    }

    /// Reports, beside subscriptions or not.
    pub fn beside_subscriptions(
        &self,
        load: impl Fn(SocketAddr) -> Load,
        some: bool,
    ) -> Result<Measured> {
        let subscribers = if some {
            self.subscribers()?
        } else {
            Vec::new()
        };
        let (_, measured) = self.run(load(self.receiver.public()), &subscribers)?;
        Ok(Measured {
            events: measured.events.filter(|_| some),
            ..measured
        })
    }

    /// Subscribers that accept events, and one that hangs.
    fn subscribers(&self) -> Result<Vec<Subscriber>> {
        let (mut subscribers, mut ids) = (Vec::new(), Vec::new());
        for index in 0..=ACCEPTING {
            let subscriber = Subscriber::counting()?;
            if index == ACCEPTING {
                subscriber.set(Behavior::Hang);
            }
            let url = subscriber.url();
            ids.push(feed::subscribe(self.operator(), &url, StartAt::Now)?);
            subscribers.push(subscriber);
        }
        feed::wait_until_served(self.operator(), &ids)?;
        Ok(subscribers)
    }

    /// Returns all arrivals, when every event was delivered.
    fn until_delivered(&self, subscriber: &Subscriber) -> Result<Vec<Arrival>> {
        let events = feed::read_all(self.operator())?;
        let began = Instant::now();
        loop {
            let arrivals = subscriber.arrivals();
            let check = DeliveryCheck::compare(&events, &arrivals);
            if check.is_good() && subscriber.invalid() == 0 {
                return Ok(arrivals);
            }
            ensure!(
                began.elapsed() < DELIVERY_LIMIT && check.out_of_order + check.unknown == 0,
                "not every event was delivered in order: {check:?}"
            );
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Returns the times from the answer to each report until its event arrived; zero if it arrived
/// earlier.
fn delays(result: &LoadResult, arrivals: &[Arrival]) -> Latencies {
    let mut arrived: HashMap<(&str, &str), Instant> = HashMap::new();
    for Arrival { event, at, .. } in arrivals {
        if let EventType::Moved(status) = event.kind {
            let key = (event.sid.as_str(), status.as_str());
            arrived.entry(key).or_insert(*at);
        }
    }
    let mut delays = Latencies::default();
    for (report, answered) in &result.answers {
        let sid = report.sid.to_string();
        if let Some(at) = arrived.get(&(sid.as_str(), report.step.status)) {
            delays.add(at.saturating_duration_since(*answered));
        }
    }
    delays
}
