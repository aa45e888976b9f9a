//! Channels, their credentials, rejected reports, and reconciliation.

mod callback_alerts;
mod reconciliations;
pub(crate) mod rejections;
pub(crate) mod store;
