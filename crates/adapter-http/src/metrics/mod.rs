//! Metrics of this process and how they are shown to Prometheus.

mod counter_set;
mod forwarding;
pub mod handler;
mod reconciliation;
pub mod registry;
mod reports;
mod subscriptions;
mod text;
mod troubles;
