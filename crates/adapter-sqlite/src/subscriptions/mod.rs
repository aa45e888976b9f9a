//! Webhook subscriptions, their leases and deliveries.

pub(crate) mod attempts;
pub(crate) mod deliveries;
pub(crate) mod delivery_queue;
pub(crate) mod delivery_rows;
pub(crate) mod rows;
pub(crate) mod store;
