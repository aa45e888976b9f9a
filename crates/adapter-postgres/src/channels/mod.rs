//! Channels, their credentials, rejected reports, reconciliation, and requests to forward.

mod callback_alerts;
mod forwarding;
mod reconciliations;
pub(crate) mod rejections;
pub(crate) mod store;
