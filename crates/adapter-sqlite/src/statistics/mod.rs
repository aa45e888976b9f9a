//! Counts per channel and interval, and the reader's position.

mod changes;
mod days;
mod problems;
pub(crate) mod recipients;
mod store;
mod write;
