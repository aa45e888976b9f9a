//! The two listeners over real HTTP.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic, its helpers too"
)]
#![expect(
    unreachable_pub,
    reason = "the tests of the whole program share some of these files"
)]

mod access;
mod answers;
mod audit;
mod batches;
mod channel_test;
mod channels;
mod client;
mod connections;
mod cursors;
mod document;
mod erasures;
mod event_schema;
mod events;
mod fixture;
mod forwarding;
mod json_bodies;
mod limits;
mod messages;
mod meta;
mod monitoring;
mod other_integrator;
mod positions;
mod reconciliation;
mod routes;
mod service;
mod streams;
mod subscriptions;
mod tokens;
mod troubles;
mod twilio_endpoints;
mod webhook;
