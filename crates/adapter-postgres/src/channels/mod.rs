//! Channels, their credentials, and rejected reports.

pub(crate) mod rejections;
pub(crate) mod store;
