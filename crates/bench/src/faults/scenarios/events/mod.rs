//! Events that are pushed while something is amiss.
//!
//! Every event of every report that is kept comes at least once, those of one
//! message in order. Which events those are is reckoned from the log, and pulled
//! from the operator's interface, and both must agree.

pub mod clock;
pub mod endpoints;
pub mod outage;
pub mod restored;
pub mod subscriber;
pub mod workers;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use bench::events::feed::{self, From};
use bench::events::subscriber::{Arrival, Manner, Subscriber};
use bench::events::told::Told;
use bench::events::{Event, feed::PRIVATE_TARGETS};
use domain::{DeliveryStatus, EventType};

use crate::Stage;
use crate::finding::Finding;
use crate::happened::happened;
use crate::home::RuntimeHandle;
use crate::ledger::Ledger;
use crate::load::Load;
use crate::receiver::Receiver;
use crate::store::Store;

/// The longest that the last event may take to come: the longest pause between
/// two tries at a target that takes nothing, and time to catch up.
const TOLD: Duration = Duration::from_mins(3);

/// A home whose events may go to this machine, with leases that end soon.
fn home(stage: &Stage, store: &Store) -> Result<RuntimeHandle> {
    let (name, value) = PRIVATE_TARGETS;
    let home = RuntimeHandle::new(stage, &store.url())?
        .with(name, value)
        .with("RECEIPTD_PUSH_LEASE_SECONDS", LEASE);
    home.add_channel()?;
    Ok(home)
}

/// How many seconds a lease lasts.
const LEASE: &str = "2";

/// A subscriber that takes its time, so that dozens of events are under way.
const LATE: Manner = Manner::TakesLate(Duration::from_millis(300));

/// Reports at a rate that leaves the machine idle in between.
fn load(stage: &Stage, home: &RuntimeHandle) -> Load {
    let mut load = Load::on(home.public());
    load.connections = 16;
    load.rate = Some(if stage.quick { 200 } else { 400 });
    load
}

/// Subscribers of everything, one a subscription.
struct Audience {
    operator: SocketAddr,
    members: Vec<Member>,
}

struct Member {
    subscriber: Subscriber,
    subscription: String,
}

impl Audience {
    /// So many subscriptions.
    fn new(home: &RuntimeHandle, count: usize) -> Result<Self> {
        let operator = home.operator();
        let mut members = Vec::new();
        for _ in 0..count {
            let subscriber = Subscriber::start()?;
            members.push(Member {
                subscription: feed::subscribe(operator, &subscriber.url(), From::Now)?,
                subscriber,
            });
        }
        Ok(Self { operator, members })
    }

    fn set(&self, manner: Manner) {
        for member in &self.members {
            member.subscriber.set(manner);
        }
    }

    /// How many events were taken by all.
    fn taken(&self) -> u64 {
        let members = self.members.iter();
        members.map(|member| member.subscriber.taken()).sum()
    }

    /// Waits until so many more were taken; whether they were in time.
    fn until_taken(&self, more: u64, limit: Duration) -> bool {
        let wanted = self.taken() + more;
        until(limit, || self.taken() >= wanted)
    }

    /// Waits until no subscription is further behind than so many reports;
    /// whether that came in time.
    fn until_behind_at_most(&self, reports: u64, limit: Duration) -> bool {
        until(limit, || {
            let mut members = self.members.iter();
            members.all(|member| {
                let status = feed::status(self.operator, &member.subscription);
                status.is_ok_and(|status| status.lag.reports + status.open <= reports)
            })
        })
    }

    /// Waits until the subscriptions are served by workers of which each has so
    /// many, the one with the fewest first; whether that came in time.
    fn until_shared(&self, wanted: &[usize], limit: Duration) -> bool {
        until(limit, || {
            let mut shares: HashMap<String, usize> = HashMap::new();
            for member in &self.members {
                let status = feed::status(self.operator, &member.subscription);
                if let Some(worker) = status.ok().and_then(|status| status.leased_by) {
                    *shares.entry(worker).or_default() += 1;
                }
            }
            let mut shares: Vec<_> = shares.into_values().collect();
            shares.sort_unstable();
            shares == wanted
        })
    }

    /// Lets everything recover and be told, stops the receiver, and compares.
    fn settle(self, store: &Store, receiver: Receiver<'_>, ledger: &Ledger) -> Result<Finding> {
        receiver.wait_until_drained()?;
        let pulled = feed::pull(self.operator)?;
        let began = Instant::now();
        let took_down = self.until_behind_at_most(0, TOLD);
        let took = began.elapsed();
        let mut dead = 0;
        for member in &self.members {
            dead += feed::status(self.operator, &member.subscription)?.dead;
        }
        receiver.stop()?;
        let kept = store.kept()?;
        let mut finding = Finding::compare(ledger, &kept);
        let happened = happened(&kept)?;
        finding.expect(
            are_the_same(&happened, &pulled),
            format!("{} were pulled, not these {}", pulled.len(), happened.len()),
        );
        for member in &self.members {
            let arrivals = member.subscriber.arrivals();
            finding.add_told(Told::compare(&happened, &arrivals));
            let behind = behind(ledger, &arrivals);
            finding.expect(
                behind == 0,
                format!("{behind} messages were acknowledged further than told"),
            );
            let strange = member.subscriber.strange();
            finding.expect(strange == 0, format!("{strange} requests were no event"));
        }
        finding.expect(dead == 0, format!("{dead} events were given up"));
        finding.expect(took_down, format!("not all is done after {took:.0?}"));
        Ok(finding)
    }
}

fn are_the_same(happened: &[Event], pulled: &[Event]) -> bool {
    let all: HashSet<&Event> = happened.iter().collect();
    let found: HashSet<&Event> = pulled.iter().collect();
    all == found && pulled.len() == found.len()
}

/// Messages of which less was told than was acknowledged: a check that asks
/// nobody but both ends.
fn behind(ledger: &Ledger, arrivals: &[Arrival]) -> usize {
    let mut told: HashMap<&str, DeliveryStatus> = HashMap::new();
    for Arrival { event, taken, .. } in arrivals {
        if let (EventType::Moved(status), true) = (event.event_type, taken) {
            let highest = told.entry(&event.sid).or_insert(status);
            *highest = status.max(*highest);
        }
    }
    let mut behind = HashSet::new();
    for report in ledger.acknowledged() {
        let status = DeliveryStatus::from_word(&report.status);
        if status > told.get(report.sid.as_str()).copied() {
            behind.insert(report.sid);
        }
    }
    behind.len()
}

/// Waits for something, so long at most; whether it came.
fn until(limit: Duration, holds: impl Fn() -> bool) -> bool {
    let began = Instant::now();
    while began.elapsed() < limit {
        if holds() {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}
