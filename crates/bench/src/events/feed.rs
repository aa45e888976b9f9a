//! Events and subscriptions in the operator's API.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::json;

use super::{Event, EventJson};
use crate::http;
use crate::wait::until;

/// Allows events to be sent to this machine.
pub const PRIVATE_TARGETS: (&str, &str) = ("RECEIPTD_PUSH_PRIVATE_TARGETS", "true");

/// The first event of a subscription.
#[derive(Clone, Copy, Debug)]
pub enum StartAt {
    Now,
    Oldest,
}

#[derive(Deserialize)]
struct CreatedSubscription {
    id: String,
}

#[derive(Debug, Deserialize)]
pub struct SubscriptionStatus {
    pub lag: SubscriptionLag,
    /// Pending deliveries.
    pub open: u64,
    /// Dead letters.
    pub dead: u64,
    /// The worker that delivers its events.
    pub leased_by: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct SubscriptionLag {
    pub reports: u64,
}

#[derive(Deserialize)]
struct EventPage<'a> {
    #[serde(borrow)]
    items: Vec<EventJson<'a>>,
    next: String,
    more: bool,
}

/// Subscribes a URL to all events. Returns the id of the subscription.
pub fn subscribe(operator: SocketAddr, url: &str, start: StartAt) -> Result<String> {
    let request = match start {
        StartAt::Now => json!({ "url": url }),
        StartAt::Oldest => json!({ "url": url, "after": "oldest" }),
    };
    let (status, text) = http::post(operator, "/api/v1/subscriptions", &request.to_string())?;
    ensure!(
        (200..300).contains(&status),
        "a subscription is answered {status}: {text}"
    );
    let created: CreatedSubscription = serde_json::from_str(&text)?;
    Ok(created.id)
}

pub fn status(operator: SocketAddr, id: &str) -> Result<SubscriptionStatus> {
    let (status, text) = http::get(operator, &format!("/api/v1/subscriptions/{id}"))?;
    ensure!(
        status == 200,
        "a subscription is shown with {status}: {text}"
    );
    serde_json::from_str(&text).context("a subscription is no JSON")
}

/// Reads all events, page by page.
pub fn read_all(operator: SocketAddr) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    let mut after = "oldest".to_owned();
    loop {
        let path = format!("/api/v1/events?limit=500&after={after}");
        let (status, text) = http::get(operator, &path)?;
        ensure!(status == 200, "events are answered {status}: {text}");
        let page: EventPage<'_> = serde_json::from_str(&text).context("events are no JSON")?;
        for event in page.items {
            events.push(event.try_into()?);
        }
        if !page.more {
            return Ok(events);
        }
        after = page.next;
    }
}

/// Waits until workers deliver the events of these subscriptions.
pub fn wait_until_served(operator: SocketAddr, ids: &[String]) -> Result<()> {
    for id in ids {
        let served = until(Duration::from_secs(15), Duration::from_millis(20), || {
            status(operator, id).is_ok_and(|status| status.leased_by.is_some())
        });
        ensure!(served, "no worker serves the subscription {id}");
    }
    Ok(())
}
