//! The event feed as operators see it: pulled events and subscriptions.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::json;

use super::{Event, Form};
use crate::http;

/// Lets events go to this machine.
pub const PRIVATE_TARGETS: (&str, &str) = ("RECEIPTD_PUSH_PRIVATE_TARGETS", "true");

/// Where a subscription begins.
#[derive(Clone, Copy, Debug)]
pub enum From {
    /// With the next event.
    Now,
    /// With the oldest there is.
    Oldest,
}

#[derive(Deserialize)]
struct Made {
    id: String,
}

/// How a subscription is getting on.
#[derive(Debug, Deserialize)]
pub struct Status {
    /// How far it is behind.
    pub lag: Lag,
    /// How many deliveries are still to be made.
    pub open: u64,
    /// How many were given up.
    pub dead: u64,
    /// Which worker serves it.
    pub leased_by: Option<String>,
}

/// How far a subscription is behind.
#[derive(Debug, Deserialize)]
pub struct Lag {
    /// In reports.
    pub reports: u64,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    items: Vec<Form<'a>>,
    next: String,
    more: bool,
}

/// Subscribes a URL to all events, and tells the subscription's id.
pub fn subscribe(operator: SocketAddr, url: &str, from: From) -> Result<String> {
    let request = match from {
        From::Now => json!({ "url": url }),
        From::Oldest => json!({ "url": url, "after": "oldest" }),
    };
    let (status, text) = http::post(operator, "/api/v1/subscriptions", &request.to_string())?;
    ensure!(
        (200..300).contains(&status),
        "a subscription is answered {status}: {text}"
    );
    let made: Made = serde_json::from_str(&text)?;
    Ok(made.id)
}

/// How a subscription is getting on.
pub fn status(operator: SocketAddr, id: &str) -> Result<Status> {
    let (status, text) = http::get(operator, &format!("/api/v1/subscriptions/{id}"))?;
    ensure!(
        status == 200,
        "a subscription is shown with {status}: {text}"
    );
    serde_json::from_str(&text).context("a subscription is no JSON")
}

/// All events there are, pulled page by page.
pub fn pull(operator: SocketAddr) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    let mut after = "oldest".to_owned();
    loop {
        let path = format!("/api/v1/events?limit=500&after={after}");
        let (status, text) = http::get(operator, &path)?;
        ensure!(status == 200, "events are answered {status}: {text}");
        let page: Page<'_> = serde_json::from_str(&text).context("events are no JSON")?;
        for form in page.items {
            events.push(form.try_into()?);
        }
        if !page.more {
            return Ok(events);
        }
        after = page.next;
    }
}

/// Waits until workers serve these subscriptions.
pub fn wait_until_served(operator: SocketAddr, ids: &[String]) -> Result<()> {
    let began = Instant::now();
    for id in ids {
        while status(operator, id)?.leased_by.is_none() {
            ensure!(
                began.elapsed() < Duration::from_secs(15),
                "no worker serves the subscription {id}"
            );
            thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}
