//! The work on one leased subscription.

mod keeping;
mod landing;
mod reading;

use std::sync::Arc;
use std::time::Duration;

use domain::delivery::{DeliveryOrder, PendingDelivery};
use domain::{Delivery, LogPosition, Subscription, Timestamp};
use ports::Ids;
use ports::subscriptions::{Lease, LeasedSubscription};
use ports::webhook_sender::Target;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::flight::{self, Landed};
use super::health::TargetHealth;
use super::lanes::{Entry, Lanes};
use super::limits::{EventShare, Limits};
use super::secrets::Secrets;
use super::stopped::Stopped;
use super::throttle::{Throttle, Turns};
use super::timeline::Timeline;
use super::{PushParts, PushSettings, backoff, health};
use reading::{ParseResult, poll_some};

/// How long events under way may still take when the process stops.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

/// How often it is looked for a free slot when other subscriptions have them all.
const SLOT_POLL: Duration = Duration::from_millis(100);

/// Pushes the events of one subscription while it holds the lease.
pub struct Pusher {
    parts: Arc<PushParts>,
    settings: PushSettings,
    limits: Arc<Limits>,
    /// Its events in memory.
    share: EventShare,
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
    /// Since what time of day the endpoint fails, as it is stored.
    failing_since: Option<Timestamp>,
    /// What `lanes` and `health` mean by times.
    timeline: Timeline,
    /// After a failure of the store.
    store_rests_until: Option<Instant>,
    /// The place of the last delivery that was taken over, if there are more.
    behind: Option<DeliveryOrder>,
    /// It was told that nothing more is read, since so much is open.
    told_full: bool,
    /// Another worker is to have it: nothing new is sent.
    surplus: bool,
    stopped: Arc<Stopped>,
}

/// Returns a random number.
fn random_seed(ids: &dyn Ids) -> u64 {
    let bytes = ids.secret_bytes();
    bytes.last_chunk().copied().map_or(0, u64::from_le_bytes)
}

/// Why a pusher stops.
enum End {
    /// The process stops, another worker is to have it, or there is work that only
    /// a new lease brings.
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
        limits: Arc<Limits>,
        leased: LeasedSubscription,
        asked_at: Instant,
        stopped: Arc<Stopped>,
    ) -> Self {
        let timeline = Timeline::new(Arc::clone(&parts.clock));
        let failing_since = leased.failing_since;
        let health = TargetHealth::new(
            failing_since.map(|at| timeline.capped(at, Duration::ZERO)),
            None,
            timeline.now(),
            random_seed(&*parts.ids),
        );
        let turns = Throttle::turns(Arc::clone(&parts.throttle));
        let last = leased.open.last().map(PendingDelivery::place);
        let mut pusher = Self {
            parts,
            settings,
            share: limits.share(),
            limits,
            lease: leased.lease,
            subscription: leased.subscription,
            lanes: Lanes::default(),
            turns,
            flights: JoinSet::new(),
            outcomes: Vec::new(),
            outcomes_since: None,
            read: leased.position,
            recorded: leased.position,
            recorded_at: asked_at,
            renewed_at: asked_at,
            health,
            failing_since,
            timeline,
            store_rests_until: None,
            behind: last.filter(|_| leased.more_pending),
            told_full: false,
            surplus: false,
            stopped,
        };
        pusher.restore(leased.open);
        pusher
    }

    /// Takes over deliveries from the store.
    fn restore(&mut self, mut open: Vec<PendingDelivery>) {
        for delivery in &mut open {
            let convert = |at, at_most| self.timeline.capped(at, at_most);
            let next = delivery.next_attempt_at;
            delivery.next_attempt_at = next.map(|at| convert(at, backoff::LONGEST_ASKED));
            let rest = delivery.rests_until;
            delivery.rests_until = rest.map(|at| convert(at, health::LONGEST_REST));
            if let Some(until) = delivery.rests_until {
                self.health.rest_until(until);
            }
        }
        self.lanes.restore(open);
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
        let mut reading: Option<ParseResult> = None;
        let end = loop {
            if !self.surplus {
                self.start_flights(&secrets);
                if reading.is_none() && self.wants_more() {
                    reading = Some(self.reading());
                }
            }
            self.share
                .hold(self.lanes.unrecorded() + self.outcomes.len());
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
        let now = self.timeline.now();
        if self.health.free_at() > now {
            return;
        }
        if self.health.is_tripped() {
            if self.may_probe()
                && let Some(entry) = self.lanes.probe(now)
            {
                self.health.probing();
                self.start(entry, secrets);
            }
            return;
        }
        while self.may_send_another()
            && self.lanes.has_ready_at(now)
            && self.turns.may_send(Instant::now())
            && let Some(entry) = self.lanes.next(now)
        {
            self.start(entry, secrets);
            self.turns.sent();
        }
    }

    fn may_send_another(&self) -> bool {
        let under_way = self.flights.len();
        let limits = self.limits.attempts();
        under_way < self.settings.window && limits.allows(self.health.is_slow(), under_way)
    }

    fn may_probe(&self) -> bool {
        self.flights.is_empty() && self.store_rests_until.is_none()
    }

    fn start(&mut self, entry: Entry, secrets: &Secrets) {
        let target = Target {
            url: self.subscription.url.clone(),
            secrets: secrets.at(self.parts.clock.now()),
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
        let slot = self.limits.attempts().slot(self.health.is_slow());
        self.flights
            .spawn(flight::fly(parts, target, entry, reveal, slot));
    }

    fn note(&mut self, mut outcome: Delivery) {
        let stored = |at| self.timeline.to_time_of_day(at);
        outcome.next_attempt_at = outcome.next_attempt_at.map(stored);
        outcome.rests_until = outcome.rests_until.map(stored);
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
        if self.surplus {
            return wake;
        }
        if self.may_take_over() {
            wake = Instant::now();
        }
        self.sends_at().map_or(wake, |at| wake.min(at))
    }

    /// When the next event may be sent, if none has to end before.
    fn sends_at(&self) -> Option<Instant> {
        let now = self.timeline.now();
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
        if at <= now && !tripped && !self.may_send_another() {
            return Some(Instant::now() + SLOT_POLL);
        }
        if at <= now {
            let turn = self.turns.next().filter(|_| !tripped);
            return Some(turn.unwrap_or_else(Instant::now));
        }
        let left = at.unix_micros().saturating_sub(now.unix_micros());
        Some(Instant::now() + Duration::from_micros(left.unsigned_abs()))
    }
}
