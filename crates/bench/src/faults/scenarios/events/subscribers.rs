//! Subscribers to all events, and what they must have received.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use domain::{DeliveryStatus, EventType};

use crate::events::delivery_check::DeliveryCheck;
use crate::events::feed::{self, StartAt};
use crate::events::subscriber::{Arrival, Behavior, Subscriber};
use crate::faults::expected_events::expected_events;
use crate::faults::ledger::Ledger;
use crate::faults::trial::Trial;
use crate::faults::verdict::Verdict;
use crate::wait::until;

/// How long the last event may take: the longest interval between two probes of a failing
/// endpoint, and time to catch up.
const DELIVERY_LIMIT: Duration = Duration::from_mins(3);

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Subscribers to all events, each with a subscription of its own.
pub struct Subscribers {
    operator: SocketAddr,
    members: Vec<(Subscriber, String)>,
}

impl Subscribers {
    pub fn new(trial: &Trial, count: usize) -> Result<Self> {
        let operator = trial.installation.operator;
        let mut members = Vec::new();
        for _ in 0..count {
            let subscriber = Subscriber::start()?;
            let id = feed::subscribe(operator, &subscriber.url(), StartAt::Now)?;
            members.push((subscriber, id));
        }
        Ok(Self { operator, members })
    }

    pub fn set(&self, behavior: Behavior) {
        for (subscriber, _) in &self.members {
            subscriber.set(behavior);
        }
    }

    /// The number of events that all of them accepted.
    pub fn accepted(&self) -> u64 {
        let members = self.members.iter();
        members.map(|(subscriber, _)| subscriber.accepted()).sum()
    }

    /// Waits until so many more were accepted. Returns whether they were within `limit`.
    pub fn until_accepted(&self, more: u64, limit: Duration) -> bool {
        let wanted = self.accepted() + more;
        until(limit, POLL_INTERVAL, || self.accepted() >= wanted)
    }

    /// Waits until no subscription lags by more reports. Returns whether that was within `limit`.
    pub fn until_lag_at_most(&self, reports: u64, limit: Duration) -> bool {
        until(limit, POLL_INTERVAL, || {
            self.members.iter().all(|(_, id)| {
                let status = feed::status(self.operator, id);
                status.is_ok_and(|status| status.lag.reports + status.open <= reports)
            })
        })
    }

    /// Waits until workers serve these numbers of subscriptions, the smallest first. Returns
    /// whether that was within `limit`.
    pub fn until_shared(&self, wanted: &[usize], limit: Duration) -> bool {
        until(limit, POLL_INTERVAL, || {
            let mut shares: HashMap<String, usize> = HashMap::new();
            for (_, id) in &self.members {
                let status = feed::status(self.operator, id);
                if let Some(worker) = status.ok().and_then(|status| status.leased_by) {
                    *shares.entry(worker).or_default() += 1;
                }
            }
            let mut shares: Vec<_> = shares.into_values().collect();
            shares.sort_unstable();
            shares == wanted
        })
    }

    /// Waits until everything is stored and delivered, stops the receiver, and compares.
    pub fn settle(self, trial: &mut Trial, ledger: &Ledger) -> Result<Verdict> {
        trial.receiver.wait_until_drained()?;
        let read = feed::read_all(self.operator)?;
        let began = Instant::now();
        let completed = self.until_lag_at_most(0, DELIVERY_LIMIT);
        let took = began.elapsed();
        let mut dead = 0;
        for (_, id) in &self.members {
            dead += feed::status(self.operator, id)?.dead;
        }
        trial.receiver.stop()?;
        let stored = trial.store.stored()?;
        let mut verdict = Verdict::compare(ledger, &stored);
        let expected = expected_events(&stored)?;
        let found: HashSet<_> = read.iter().collect();
        verdict.expect(
            found == expected.iter().collect() && read.len() == found.len(),
            format!("{} were read, not these {}", read.len(), expected.len()),
        );
        for (subscriber, _) in &self.members {
            let arrivals = subscriber.arrivals();
            verdict.add_deliveries(DeliveryCheck::compare(&expected, &arrivals));
            let behind = lagging_messages(ledger, &arrivals);
            verdict.expect(
                behind == 0,
                format!("{behind} messages were acknowledged further than delivered"),
            );
            let invalid = subscriber.invalid();
            verdict.expect(invalid == 0, format!("{invalid} requests were no event"));
        }
        verdict.expect(dead == 0, format!("{dead} events are dead letters"));
        verdict.expect(completed, format!("not all is delivered after {took:.0?}"));
        Ok(verdict)
    }
}

/// The number of messages of which a higher status was acknowledged than delivered. This check
/// uses neither the database nor the operator's API.
fn lagging_messages(ledger: &Ledger, arrivals: &[Arrival]) -> usize {
    let mut delivered: HashMap<&str, DeliveryStatus> = HashMap::new();
    for Arrival {
        event, accepted, ..
    } in arrivals
    {
        if let (EventType::Moved(status), true) = (event.kind, accepted) {
            let highest = delivered.entry(&event.sid).or_insert(status);
            *highest = status.max(*highest);
        }
    }
    let mut behind = HashSet::new();
    for report in ledger.acknowledged() {
        let status = report.status.parse::<DeliveryStatus>().ok();
        if status > delivered.get(report.sid.as_str()).copied() {
            behind.insert(report.sid);
        }
    }
    behind.len()
}
