//! The HTTP listeners: the public one receives reports, the operator's one serves the API, health
//! and metrics, and a worker's one serves health and metrics only.
//!
//! A handler unpacks a request, calls one use case and packs the answer. Wire structs stand beside
//! their handlers and are not domain types. This crate knows no store and no integrator: both come
//! in through the use cases of [`PublicState`] and [`OperatorState`].
//!
//! `routes.rs` lists all routes. Start reading at [`webhook`], the path of a report, and at
//! [`server`], which configures connections.

pub mod api;
mod auth_failure_throttle;
mod connections;
mod docs;
pub mod health;
mod health_cache;
mod host;
pub mod metrics;
pub mod monitoring;
mod outcome;
pub mod problem;
mod request_body;
mod request_log;
mod resource;
mod routes;
pub mod server;
mod settings;
mod transport;
pub mod webhook;
pub mod wire;

pub use api::events::settings::StreamSettings;
pub use api::operator::OperatorState;
pub use connections::GracefulShutdown;
pub use host::HostNames;
pub use metrics::registry::MetricsRegistry;
pub use monitoring::MonitoringState;
pub use server::{bind, serve_monitoring, serve_operator, serve_public};
pub use settings::ListenerSettings;
pub use webhook::PublicState;
