//! The pages on the in-memory store.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod channels;
mod endpoint;
mod headers;
mod messages;
mod overview;
mod pages;
mod reconciliation;
mod security;
mod sessions;
mod site;
mod subscriptions;
mod trouble;
mod views;
