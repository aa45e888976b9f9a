//! Counts per channel and interval, and the reader's position.

mod changes;
mod store;
mod write;
