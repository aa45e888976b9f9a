//! Reading the report log as a stream of events, and named cursors.

pub(crate) mod cursors;
pub(crate) mod log;
pub(crate) mod time_index;
