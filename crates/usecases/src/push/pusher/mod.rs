//! The work on one leased subscription.

mod keeping;
mod landing;
mod reading;

use std::sync::Arc;
use std::time::Duration;

use domain::delivery::{OpenDelivery, Place};
use domain::{Delivery, LogPosition, Subscription, Timestamp};
use ports::events::Target;
use ports::subscriptions::{Lease, LeasedSubscription};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::flight::{self, Landed};
use super::health::TargetHealth;
use super::lanes::{Entry, Lanes};
use super::secrets::Secrets;
use super::stopped::Stopped;
use super::{PushParts, PushSettings};
use crate::pace::{Pace, Turns};
use reading::{Reading, poll_some};

/// How long events under way may still take when the process stops.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

/// Pushes the events of one subscription while it holds the lease.
pub struct Pusher {
    parts: Arc<PushParts>,
    settings: PushSettings,
    lease: Lease,
    subscription: Subscription,
    lanes: Lanes,
    turns: Turns,
    flights: JoinSet<Landed>,
    /// What became of deliveries since the last time it was taken down.
    outcomes: Vec<Delivery>,
    outcomes_since: Option<Instant>,
    /// Up to where the log was read.
    read: LogPosition,
    /// The position that the store knows.
    recorded: LogPosition,
    recorded_at: Instant,
    renewed_at: Instant,
    health: TargetHealth,
    /// After a failure of the store.
    store_rests_until: Option<Instant>,
    /// The place of the last delivery that was taken over, if there are more.
    behind: Option<Place>,
    /// It was told that nothing more is read, since so much is open.
    told_full: bool,
    stopped: Arc<Stopped>,
}

/// Why a pusher stops.
enum End {
    /// The process stops, or there is work that only a new lease brings.
    Release,
    /// Somebody else has the subscription, or it was changed.
    Lost,
    /// The subscription is not active any more.
    Finished,
}

impl Pusher {
    pub(super) fn new(
        parts: Arc<PushParts>,
        settings: PushSettings,
        leased: LeasedSubscription,
        asked_at: Instant,
        stopped: Arc<Stopped>,
    ) -> Self {
        let mut lanes = Lanes::default();
        let last = leased.open.last().map(OpenDelivery::place);
        let rest = leased.open.iter().filter_map(|open| open.rests_until);
        let health = TargetHealth::new(
            leased.failing_since,
            rest.max(),
            parts.clock.now(),
            leased.lease.token.unsigned_abs(),
        );
        lanes.restore(leased.open);
        let turns = Pace::turns(Arc::clone(&parts.pace));
        Self {
            parts,
            settings,
            lease: leased.lease,
            subscription: leased.subscription,
            lanes,
            turns,
            flights: JoinSet::new(),
            outcomes: Vec::new(),
            outcomes_since: None,
            read: leased.position,
            recorded: leased.position,
            recorded_at: asked_at,
            renewed_at: asked_at,
            health,
            store_rests_until: None,
            behind: last.filter(|_| leased.more_open),
            told_full: false,
            stopped,
        }
    }

    /// Pushes until the lease is lost, the subscription ends, or `stop` does.
    pub async fn run(mut self, stop: impl Future<Output = ()> + Send) {
        let mut stop = std::pin::pin!(stop);
        let Some(secrets) = Secrets::open(&self.subscription, &self.parts.secret) else {
            self.stopped.unreadable(self.subscription.id);
            // Another worker may have the right key; this one would only take it again.
            tokio::select! {
                () = tokio::time::sleep(self.settings.lease) => {}
                () = &mut stop => {}
            }
            return self.release().await;
        };
        self.stopped.readable(self.subscription.id);
        let mut reading: Option<Reading> = None;
        let end = loop {
            self.start_flights(&secrets);
            if reading.is_none() && self.wants_more() {
                reading = Some(self.reading());
            }
            let wake = self.wakes_at();
            tokio::select! {
                Some(landed) = self.flights.join_next(), if !self.flights.is_empty() => {
                    // A flight that panicked is tried again under the next lease.
                    let Ok(landed) = landed else { break End::Release };
                    if let Some(end) = self.landed(landed).await {
                        break end;
                    }
                }
                read = poll_some(&mut reading) => {
                    reading = None;
                    if self.took(read).await {
                        break End::Finished;
                    }
                }
                () = tokio::time::sleep_until(wake) => {}
                () = &mut stop => {
                    self.let_flights_land().await;
                    break End::Release;
                }
            }
            if let Some(end) = self.keep_up().await {
                break end;
            }
        };
        self.flights.abort_all();
        match end {
            End::Release => self.release().await,
            End::Lost => {
                tracing::debug!(subscription = %self.subscription.id, "a lease was lost");
                // One that a change has ended keeps others away until then.
                self.release().await;
            }
            End::Finished => {}
        }
    }

    fn start_flights(&mut self, secrets: &Secrets) {
        let now = self.parts.clock.now();
        if self.health.free_at() > now {
            return;
        }
        if self.health.is_tripped() {
            if self.may_probe()
                && let Some(entry) = self.lanes.probe(now)
            {
                self.health.probing();
                self.start(entry, secrets, now);
            }
            return;
        }
        while self.flights.len() < self.settings.window
            && self.lanes.has_ready_at(now)
            && self.turns.may_send(Instant::now())
            && let Some(entry) = self.lanes.next(now)
        {
            self.start(entry, secrets, now);
            self.turns.sent();
        }
    }

    fn may_probe(&self) -> bool {
        self.flights.is_empty() && self.store_rests_until.is_none()
    }

    fn start(&mut self, entry: Entry, secrets: &Secrets, now: Timestamp) {
        let target = Target {
            url: self.subscription.url.clone(),
            secrets: secrets.at(now),
        };
        let entry = match entry {
            // What became of it last may not be taken down yet.
            Entry::Stored(open) => {
                let mut latest = self.outcomes.iter().rev();
                let noted = latest.find(|outcome| outcome.key == open.key).cloned();
                noted.map_or(Entry::Stored(open), |noted| Entry::Here(Box::new(noted)))
            }
            Entry::Here(_) => entry,
        };
        let parts = Arc::clone(&self.parts);
        let reveal = self.subscription.reveal;
        self.flights
            .spawn(flight::fly(parts, target, entry, reveal));
    }

    fn note(&mut self, outcome: Delivery) {
        self.outcomes_since.get_or_insert_with(Instant::now);
        self.outcomes.push(outcome);
    }

    /// Waits for events that are under way, and takes down what became of them.
    async fn let_flights_land(&mut self) {
        let deadline = Instant::now() + STOP_PATIENCE;
        while let Ok(Some(Ok(landed))) =
            tokio::time::timeout_at(deadline, self.flights.join_next()).await
        {
            if self.landed(landed).await.is_some() {
                return;
            }
        }
        while !self.outcomes.is_empty() && Instant::now() < deadline {
            if self.record().await.is_some() || self.store_rests_until.is_some() {
                return;
            }
        }
    }

    /// When there is something to do even if nothing happens.
    fn wakes_at(&self) -> Instant {
        let renewal = self.renewed_at + self.settings.lease / 3;
        let mut wake = renewal.min(self.records_at());
        if let Some(until) = self.store_rests_until {
            wake = until.min(self.renewed_at + self.settings.lease);
        }
        if self.may_take_over() {
            wake = Instant::now();
        }
        self.sends_at().map_or(wake, |at| wake.min(at))
    }

    /// When the next event may be sent, if none has to end before.
    fn sends_at(&self) -> Option<Instant> {
        let now = self.parts.clock.now();
        let tripped = self.health.is_tripped();
        let at = if tripped {
            self.lanes.next_probe(now).filter(|_| self.may_probe())?
        } else if self.flights.len() >= self.settings.window {
            return None;
        } else if self.lanes.has_ready_at(now) {
            now
        } else {
            self.lanes.next_due()?
        };
        let at = at.max(self.health.free_at());
        if at <= now {
            let turn = self.turns.next().filter(|_| !tripped);
            return Some(turn.unwrap_or_else(Instant::now));
        }
        let left = at.unix_micros().saturating_sub(now.unix_micros());
        Some(Instant::now() + Duration::from_micros(left.unsigned_abs()))
    }
}
