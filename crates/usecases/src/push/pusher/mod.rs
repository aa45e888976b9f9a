//! The work on one leased subscription.

mod keeping;
mod reading;

use std::sync::Arc;
use std::time::Duration;

use domain::subscription::SubscriptionState;
use domain::{Delivery, DeliveryState, LogPosition, Subscription, Timestamp};
use ports::events::{SinkError, Target};
use ports::observer::{PushOutcome, StopReason};
use ports::subscriptions::{Lease, LeasedSubscription};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::flight::{self, Landed};
use super::health::TargetHealth;
use super::lanes::Lanes;
use super::secrets::Secrets;
use super::stopped::Stopped;
use super::{PushParts, PushSettings, backoff};
use crate::intake::chain;
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
    /// The deliveries that the lease brought are not all there are.
    more_open: bool,
    /// Another worker is to have it: nothing new is sent.
    surplus: bool,
    stopped: Arc<Stopped>,
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
        leased: LeasedSubscription,
        stopped: Arc<Stopped>,
    ) -> Self {
        let mut lanes = Lanes::default();
        lanes.restore(leased.open);
        let now = Instant::now();
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
            recorded_at: now,
            renewed_at: now,
            health: TargetHealth::new(leased.failing_since, leased.lease.token.unsigned_abs()),
            store_rests_until: None,
            more_open: leased.more_open,
            surplus: false,
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
            if !self.surplus {
                self.start_flights(&secrets);
                if reading.is_none() && self.wants_more() {
                    reading = Some(self.reading());
                }
            }
            let wake = self.wakes_at();
            tokio::select! {
                Some(landed) = self.flights.join_next(), if !self.flights.is_empty() => {
                    // A flight that panicked is tried again under the next lease.
                    let Ok(landed) = landed else { break End::Release };
                    if self.landed(landed).await {
                        break End::Finished;
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
        if self.health.is_tripped() {
            if self.flights.is_empty()
                && self.health.probe_at() <= Instant::now()
                && let Some(delivery) = self.lanes.probe()
            {
                self.health.probing();
                self.start(delivery, secrets, now);
            }
            return;
        }
        while self.flights.len() < self.settings.window
            && self.lanes.has_ready_at(now)
            && self.turns.may_send(Instant::now())
            && let Some(delivery) = self.lanes.next(now)
        {
            self.start(delivery, secrets, now);
            self.turns.sent();
        }
    }

    fn start(&mut self, delivery: Delivery, secrets: &Secrets, began: Timestamp) {
        let sink = Arc::clone(&self.parts.sink);
        let target = Target {
            url: self.subscription.url.clone(),
            secrets: secrets.at(began),
        };
        self.flights
            .spawn(flight::fly(sink, target, delivery, began));
    }

    /// Takes the end of a try. `true` if the subscription has ended with it.
    async fn landed(&mut self, landed: Landed) -> bool {
        let Landed {
            mut delivery,
            began,
            outcome,
        } = landed;
        let now = self.parts.clock.now();
        let gone = matches!(outcome, Err(SinkError::Gone { .. }));
        let attempt = flight::attempt(began, &outcome);
        let took = Duration::from_millis(attempt.took_ms.into());
        delivery.attempts.push(attempt);
        match outcome {
            Ok(_) => {
                delivery.state = DeliveryState::Delivered;
                delivery.next_attempt_at = None;
                delivery.finished_at = Some(now);
                delivery.body = None;
                self.parts.observer.pushed(PushOutcome::Delivered, took);
                self.worked();
            }
            Err(error) => {
                let asked = match &error {
                    SinkError::Retry { after, .. } => after.unwrap_or_default(),
                    SinkError::Gone { .. } | SinkError::Refused { .. } => Duration::ZERO,
                };
                self.failed(now, asked, &error);
                if backoff::is_given_up(&delivery, now) {
                    delivery.state = DeliveryState::Dead;
                    delivery.next_attempt_at = None;
                    delivery.finished_at = Some(now);
                    self.parts.observer.pushed(PushOutcome::GivenUp, took);
                } else {
                    let pause = self.health.pause(delivery.attempts.count(), asked);
                    delivery.state = DeliveryState::Retrying;
                    delivery.next_attempt_at = Some(later(now, pause));
                    self.parts.observer.pushed(PushOutcome::Failed, took);
                }
            }
        }
        for ended in self.lanes.ended(delivery) {
            self.note(ended);
        }
        if !gone {
            return false;
        }
        let since = now;
        self.finish(SubscriptionState::Ended { since }, StopReason::Gone)
            .await
    }

    fn worked(&mut self) {
        if self.health.worked() {
            tracing::info!(subscription = %self.subscription.id, "a target takes events again");
            self.lanes.make_all_due();
        }
    }

    fn failed(&mut self, now: Timestamp, asked: Duration, error: &SinkError) {
        if self.health.failed(now, asked) {
            tracing::warn!(
                subscription = %self.subscription.id,
                error = %chain(error),
                "a target takes nothing; it is asked now and then"
            );
        }
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
            if self.landed(landed).await {
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
            wake = until;
        }
        if self.surplus {
            return wake;
        }
        if self.health.is_tripped() {
            if self.flights.is_empty() && self.lanes.open() > 0 {
                wake = wake.min(self.health.probe_at());
            }
        } else if self.flights.len() < self.settings.window {
            let now = self.parts.clock.now();
            if self.lanes.has_ready_at(now) {
                wake = wake.min(self.turns.next().unwrap_or_else(Instant::now));
            } else if let Some(due) = self.lanes.next_due() {
                let left = due.unix_micros() - now.unix_micros();
                let left = Duration::from_micros(u64::try_from(left).unwrap_or_default());
                wake = wake.min(Instant::now() + left);
            }
        }
        wake
    }
}

fn later(now: Timestamp, pause: Duration) -> Timestamp {
    now.plus_micros(i64::try_from(pause.as_micros()).unwrap_or(i64::MAX))
}
