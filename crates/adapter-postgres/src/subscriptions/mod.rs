//! Webhook subscriptions, their leases and deliveries.

pub(crate) mod attempts;
pub(crate) mod columns;
pub(crate) mod deliveries;
pub(crate) mod delivery_queue;
mod list;
pub(crate) mod store;
