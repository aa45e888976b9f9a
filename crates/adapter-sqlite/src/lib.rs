//! The stores on SQLite: one file, one process that serves it, nothing else.
//!
//! It knows tables, statements and what the engine's errors mean. It does not know the
//! rules of a message's state: what a report does is asked of `domain`, under the lock of
//! the one writer.
//!
//! Start reading at [`SqliteStore`], then `record.rs`: how a batch becomes four statements.
//! The tables stand in `migrations/sqlite`.

mod attempts;
mod bulk;
mod channel_rows;
mod channels;
mod checkpoint;
mod connection;
mod cursors;
mod deliveries;
mod delivery_queue;
mod delivery_retention;
mod delivery_rows;
mod erasure_rows;
mod erasure_step;
mod erasures;
mod error;
mod json;
mod log;
mod message_retention;
mod record;
mod rejections;
mod reports;
mod retention;
mod retention_runs;
mod rows;
mod schema;
mod subscription_rows;
mod subscriptions;
#[cfg(test)]
mod tests;

pub use checkpoint::Checkpoint;
pub use connection::{OpenError, SqliteStore};
