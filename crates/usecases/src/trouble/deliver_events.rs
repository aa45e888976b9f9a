//! Sends operator events to the subscriptions that ask for them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use domain::crypto::ServerSecret;
use domain::page::PageSize;
use domain::subscription::SubscriptionState;
use domain::trouble::{OperatorEvent, StoredOperatorEvent};
use domain::webhook::WebhookId;
use domain::{Subscription, SubscriptionId, Timestamp};
use ports::error::error_chain;
use ports::troubles::OperatorEventPosition;
use ports::webhook_sender::{OutgoingEvent, SendError, Target};
use ports::{
    Environment, OperatorEvents, StoreError, SubscriptionStore, TroubleStore, WebhookSender,
};
use tokio::sync::Mutex;

use crate::delivery::retry_policy::{MAX_RETRY_AFTER, RetryPolicy, is_given_up};
use crate::delivery::secrets::Secrets;

/// How long nothing is looked up while nothing is to be sent. A subscription that is new, or
/// active again, waits this long.
const IDLE_MICROS: i64 = 60 * 1_000_000;

/// Events that are read at a time.
const BATCH: u16 = 20;

/// What sending operator events needs.
pub struct OperatorEventDependencies {
    /// Whose lease decides which process sends.
    pub troubles: Arc<dyn TroubleStore>,
    /// The events and how far they were sent.
    pub events: Arc<dyn OperatorEvents>,
    /// The subscriptions.
    pub subscriptions: Arc<dyn SubscriptionStore>,
    /// Sends events.
    pub sender: Arc<dyn WebhookSender>,
    /// Opens signing secrets.
    pub secret: ServerSecret,
    /// Time.
    pub environment: Arc<dyn Environment>,
    /// The name of this process, which also evaluates the rules.
    pub holder: String,
    /// How long the lease lasts.
    pub lease: Duration,
}

/// Sends operator events, in the process that evaluates the rules: to each subscription in the
/// order of their sequence, at least once. A failed event is sent again, with growing pauses, for
/// three days, and the later ones wait for it.
pub struct DeliverOperatorEvents {
    needs: OperatorEventDependencies,
    state: Mutex<State>,
}

struct State {
    retry: RetryPolicy,
    /// The last event when nothing was to be sent, and how long that is believed.
    idle: Option<(i64, Range<Timestamp>)>,
}

impl DeliverOperatorEvents {
    /// Creates the use case.
    #[must_use]
    pub fn new(needs: OperatorEventDependencies) -> Self {
        let environment = &needs.environment;
        let (seed, _) = environment.uuid().as_u64_pair();
        let retry = RetryPolicy::new(seed, environment.now());
        Self {
            needs,
            state: Mutex::new(State { retry, idle: None }),
        }
    }

    /// Sends what is due.
    pub async fn run(&self) -> Result<(), StoreError> {
        let mut state = self.state.lock().await;
        let (needs, now) = (&self.needs, self.needs.environment.now());
        let end_of_time = now.plus_micros(i64::MAX);
        let last = needs.events.last_operator_event(end_of_time).await?;
        // Before the range, the clock was set back since.
        if let Some((seen, times)) = &state.idle
            && *seen == last
            && times.contains(&now)
        {
            return Ok(());
        }
        let subscriptions = needs.subscriptions.list().await?;
        let wanting = subscriptions.into_iter().map(|status| status.subscription);
        let wanting = wanting.filter(|it| !it.filter.operator_types.is_empty());
        let wanting: Vec<_> = wanting.collect();
        let mut next = now.plus_micros(IDLE_MICROS);
        if !wanting.is_empty() {
            let lease = needs.troubles.lease_evaluation(&needs.holder, needs.lease);
            if lease.await?.is_some() {
                let ids: Vec<_> = wanting.iter().map(|it| it.id).collect();
                needs.events.retain_operator_event_positions(&ids).await?;
                let positions = needs.events.operator_event_positions().await?;
                let mut positions: BTreeMap<_, _> = positions.into_iter().collect();
                for subscription in wanting {
                    let position = positions.remove(&subscription.id);
                    let retry_at = self.send_to(&mut state, subscription, position).await?;
                    next = retry_at.map_or(next, |retry_at| next.min(retry_at));
                }
            }
        }
        state.idle = Some((last, now..next));
        Ok(())
    }

    /// Sends the events after the position of a subscription, until one fails. Returns when it is
    /// sent again.
    async fn send_to(
        &self,
        state: &mut State,
        mut subscription: Subscription,
        position: Option<OperatorEventPosition>,
    ) -> Result<Option<Timestamp>, StoreError> {
        let needs = &self.needs;
        let mut position = match position {
            Some(position) => position,
            None => self.begin(&subscription).await?,
        };
        let now = needs.environment.now();
        if subscription.state != SubscriptionState::Active {
            return Ok(None);
        }
        // A later time is from before the clock was set back.
        let longest = i64::try_from(MAX_RETRY_AFTER.as_micros()).unwrap_or(i64::MAX);
        let latest = now.plus_micros(longest);
        let waits = |retry_at: &Timestamp| now < *retry_at && *retry_at <= latest;
        if let Some(retry_at) = position.retry_at.filter(waits) {
            return Ok(Some(retry_at));
        }
        // Health says so.
        let Some(secrets) = Secrets::open(&subscription, &needs.secret) else {
            return Ok(None);
        };
        let target = Target {
            url: subscription.url.clone(),
            secrets: secrets.at(now),
        };
        let size = PageSize::new(BATCH).unwrap_or_default();
        loop {
            let after = position.sequence;
            let events = needs.events.operator_events(after, size).await?;
            let more = events.len() == usize::from(size.get());
            for StoredOperatorEvent { sequence, event } in events {
                if subscription.filter.passes_operator_event(&event) {
                    match needs.sender.deliver(&target, &outgoing(&event)).await {
                        Ok(_) => {}
                        Err(SendError::Gone { .. }) => {
                            return self.end(&mut subscription).await.map(|()| None);
                        }
                        Err(error) => {
                            let retry_at =
                                self.failed(state, &subscription, &mut position, sequence, &error);
                            let id = subscription.id;
                            self.store(id, &position).await?;
                            if retry_at.is_some() {
                                return Ok(retry_at);
                            }
                            continue;
                        }
                    }
                }
                position = at(sequence);
                self.store(subscription.id, &position).await?;
            }
            if !more {
                return Ok(None);
            }
        }
    }

    /// Returns the first position of a subscription: it receives the events since it asks for them.
    async fn begin(
        &self,
        subscription: &Subscription,
    ) -> Result<OperatorEventPosition, StoreError> {
        let events = &self.needs.events;
        let position = at(events.last_operator_event(subscription.updated_at).await?);
        self.store(subscription.id, &position).await?;
        Ok(position)
    }

    async fn store(
        &self,
        id: SubscriptionId,
        position: &OperatorEventPosition,
    ) -> Result<(), StoreError> {
        let events = &self.needs.events;
        events.set_operator_event_position(id, position).await
    }

    /// Ends a subscription whose endpoint answered 410.
    async fn end(&self, subscription: &mut Subscription) -> Result<(), StoreError> {
        let now = self.needs.environment.now();
        subscription.state = SubscriptionState::Ended { since: now };
        subscription.updated_at = now;
        subscription.version += 1;
        tracing::warn!(
            subscription = %subscription.id,
            "the endpoint answered 410 to an operator event; the subscription has ended"
        );
        // If it was changed meanwhile, the next event tells again.
        self.needs
            .subscriptions
            .change(subscription)
            .await
            .map(drop)
    }

    /// Notes a failed attempt, and returns when the event is sent again. `None` if it is given up:
    /// then the position is after it.
    fn failed(
        &self,
        state: &mut State,
        subscription: &Subscription,
        position: &mut OperatorEventPosition,
        sequence: i64,
        error: &SendError,
    ) -> Option<Timestamp> {
        let now = self.needs.environment.now();
        let since = position.failing_since.unwrap_or(now);
        let subscription = subscription.id;
        let error_text = error_chain(error);
        if is_given_up(since, now) {
            tracing::error!(
                %subscription,
                sequence,
                error = error_text,
                "an operator event was not delivered for three days and is given up"
            );
            *position = at(sequence);
            return None;
        }
        let failures = position.failures.saturating_add(1);
        let after = match error {
            SendError::Retry { after, .. } => after.unwrap_or_default(),
            SendError::Gone { .. } | SendError::Refused { .. } => Duration::ZERO,
        };
        let delay = state
            .retry
            .retry_delay(failures, after.min(MAX_RETRY_AFTER));
        let delay = i64::try_from(delay.as_micros()).unwrap_or(i64::MAX);
        let retry_at = now.plus_micros(delay);
        tracing::warn!(
            %subscription,
            sequence,
            error = error_text,
            "an operator event was not delivered; sending it again at {retry_at}"
        );
        *position = OperatorEventPosition {
            sequence: position.sequence,
            failures,
            retry_at: Some(retry_at),
            failing_since: Some(since),
        };
        Some(retry_at)
    }
}

/// Returns a position without failures.
const fn at(sequence: i64) -> OperatorEventPosition {
    OperatorEventPosition {
        sequence,
        failures: 0,
        retry_at: None,
        failing_since: None,
    }
}

#[expect(clippy::expect_used, reason = "an event id is letters, digits and `_`")]
fn outgoing(event: &OperatorEvent) -> OutgoingEvent {
    OutgoingEvent {
        id: WebhookId::parse(&event.id.to_string()).expect("an event id is a webhook id"),
        body: event.body.as_bytes().into(),
    }
}
