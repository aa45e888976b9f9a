//! The report log and the messages derived from it.

pub(crate) mod aliases;
pub(crate) mod batch;
pub(crate) mod list;
pub(crate) mod record;
pub(crate) mod store;
pub(crate) mod write;
