//! The stores on SQLite: one file, one process that serves it, nothing else.
//!
//! It knows tables, statements and what the engine's errors mean. It does not know the
//! rules of a message's state: what a report does is asked of `domain`, under the lock of
//! the one writer.
//!
//! Start reading at [`SqliteStore`], then `reports/record.rs`: how a batch becomes four statements.
//! The tables stand in `migrations/sqlite`.

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
mod subscriptions;
#[cfg(test)]
mod tests;

pub use checkpoint::Checkpoint;
pub use connection::{OpenError, SqliteStore};
