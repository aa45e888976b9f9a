//! Channels, their credentials, rejected reports, and reconciliation.

mod reconciliations;
pub(crate) mod rejections;
pub(crate) mod store;
