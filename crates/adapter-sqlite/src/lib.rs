//! The stores on SQLite: one file, served by one process.
//!
//! This crate knows tables, statements and the meaning of the engine's errors. It does not know
//! the rules of a message's state: it lets `domain` decide what a report does, while it holds the
//! write lock.
//!
//! Start reading at [`SqliteStore`], then `reports/record.rs`: how a batch is recorded. The tables
//! are in `migrations/sqlite`.

mod access;
mod bulk;
mod channels;
mod checkpoint;
mod connection;
mod error;
mod events;
mod json;
mod maintenance;
mod reports;
mod rows;
mod runtime;
mod schema;
mod statistics;
mod subscriptions;
#[cfg(test)]
mod tests;
mod troubles;

pub use checkpoint::Checkpoint;
pub use connection::{OpenError, SqliteStore};
