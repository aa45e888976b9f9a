//! The demo subscription, with deliveries and dead letters.

use std::collections::BTreeSet;
use std::num::NonZeroU16;
use std::time::Duration;

use anyhow::{Result, bail};
use domain::delivery::{Attempt, AttemptError, Attempts, DeliveryState};
use domain::event::{MessageEvent, events_of};
use domain::subscription::Description;
use domain::webhook::TargetUrl;
use domain::{
    ChannelId, Delivery, DeliveryKey, DeliveryStatus, EventFilter, EventType, IntegratorName,
    SubscriptionId, Timestamp,
};
use ports::event_log::LogRead;
use ports::subscriptions::Progress;
use ports::{DeliveryQueue, Environment as _, EventLog, Store};
use usecases::CloudEvent;
use usecases::subscriptions::NewSubscription;

use super::{CAMPAIGNS, HOUR_MICROS, TWILIO};
use crate::commands::subscription::manage;
use crate::composition::Stores;
use crate::config::Settings;
use crate::system::System;

/// Names that end in `.invalid` never resolve, so nothing can be sent there.
const URL: &str = "https://crm.example.invalid/hooks/receipts";

const DESCRIPTION: &str = "CRM: failed campaign messages (demo; its address does not exist)";

/// Hours before now in which the endpoint refused all events. They were retried for three days.
const OUTAGE_HOURS: std::ops::Range<i64> = 96..100;

/// Hours for which a failing event is retried.
const RETRY_HOURS: i64 = 72;

/// Attempts in that time.
const DEAD_ATTEMPTS: i64 = 24;

/// Reports per read of the log.
const READ_SIZE: NonZeroU16 = NonZeroU16::new(500).unwrap();

/// How long the subscription is leased to store its deliveries.
const LEASE: Duration = Duration::from_secs(30);

/// Adds the subscription. It has no deliveries if another process serves it first.
pub(super) async fn add(settings: &Settings, stores: &Stores) -> Result<()> {
    let manage = manage::create(settings, stores).await?;
    let failures = [DeliveryStatus::Failed, DeliveryStatus::Undelivered];
    let filter = EventFilter {
        channels: Some([ChannelId::parse(CAMPAIGNS)?].into()),
        types: Some(failures.map(EventType::Moved).into()),
        operator_types: BTreeSet::new(),
    };
    let new = NewSubscription {
        url: TargetUrl::parse(URL)?,
        filter: filter.clone(),
        reveal: false,
        description: Description::parse(DESCRIPTION)?,
        secret: None,
        // Earlier events are stored as deliveries.
        from: None,
        may_reveal: false,
    };
    let (subscription, _) = manage.add(new).await?;
    let store = &*stores.store();
    let worker = "demo";
    if let Some(leased) = store.claim(worker, LEASE).await? {
        if leased.subscription.id == subscription.id {
            let deliveries = deliveries(store, subscription.id, &filter).await?;
            let progress = Progress {
                position: leased.position,
                failing_since: None,
                deliveries: &deliveries,
            };
            DeliveryQueue::record(store, &leased.lease, progress).await?;
        }
        store.release(&leased.lease).await?;
    }
    Ok(store.leave(worker).await?)
}

/// Returns a delivery of each event of the log that matches.
async fn deliveries(
    store: &dyn Store,
    subscription: SubscriptionId,
    filter: &EventFilter,
) -> Result<Vec<Delivery>> {
    let now = System.now();
    let twilio = IntegratorName::parse(TWILIO)?;
    let mut deliveries = Vec::new();
    let mut after = None;
    loop {
        let LogRead::Page(page) = EventLog::read(store, after, READ_SIZE).await? else {
            bail!("retention has removed reports meanwhile");
        };
        for entry in &page.entries {
            let events = events_of(entry).filter(|event| filter.passes(event));
            deliveries.extend(events.map(|event| {
                let key = DeliveryKey::new(subscription, entry.report.id, event.event_type);
                let body = CloudEvent::new(&event, Some(&twilio), false).to_json();
                delivery(key, event, body, now)
            }));
        }
        if page.complete {
            return Ok(deliveries);
        }
        after = Some(page.next);
    }
}

fn delivery(key: DeliveryKey, event: MessageEvent, body: String, now: Timestamp) -> Delivery {
    let reported_at = event.reported_at;
    let hours_ago = (now.unix_micros() - reported_at.unix_micros()) / HOUR_MICROS;
    let (state, attempts, finished_at) = if OUTAGE_HOURS.contains(&hours_ago) {
        let end = reported_at.plus_micros(RETRY_HOURS * HOUR_MICROS);
        (DeliveryState::Dead, refused(reported_at), end)
    } else {
        let mut attempts = Attempts::default();
        let took_ms = 40 + u32::from(key.event_index);
        attempts.push(Attempt {
            at: reported_at,
            took_ms,
            status: Some(204),
            error: None,
            answer: None,
        });
        let end = reported_at.plus_micros(i64::from(took_ms) * 1_000);
        (DeliveryState::Delivered, attempts, end)
    };
    Delivery {
        key,
        position: event.position,
        event_type: event.event_type,
        message: event.key,
        revision: event.revision,
        state,
        attempts,
        created_at: reported_at,
        retrying_since: reported_at,
        next_attempt_at: None,
        cooldown_until: None,
        finished_at: Some(finished_at),
        body: Some(body).filter(|_| state != DeliveryState::Delivered),
    }
}

/// Returns the attempts of a dead letter.
fn refused(began: Timestamp) -> Attempts {
    let mut attempts = Attempts::default();
    for number in 0..DEAD_ATTEMPTS {
        let after = RETRY_HOURS * HOUR_MICROS * number / (DEAD_ATTEMPTS - 1);
        attempts.push(Attempt {
            at: began.plus_micros(after),
            took_ms: 35,
            status: Some(503),
            error: Some(AttemptError::new(
                "the target answered 503 Service Unavailable",
            )),
            answer: None,
        });
    }
    attempts
}
