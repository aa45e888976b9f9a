//! Counts per channel and interval, and the reader's position.

mod changes;
mod days;
mod problems;
mod store;
mod write;
