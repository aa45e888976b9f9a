//! Metrics of this process and how they are shown to Prometheus.

pub mod handler;
mod reconciliation;
pub mod registry;
mod reports;
mod subscriptions;
mod text;
mod troubles;
