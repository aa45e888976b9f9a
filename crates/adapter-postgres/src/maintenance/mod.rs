//! Retention and erasure.

pub(crate) mod delivery_retention;
pub(crate) mod erasure_step;
pub(crate) mod erasures;
pub(crate) mod message_retention;
pub(crate) mod partitions;
pub(crate) mod retention;
pub(crate) mod retention_runs;
pub(crate) mod store;
