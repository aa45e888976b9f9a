//! The stores on PostgreSQL 15 and later.
//!
//! It knows tables, statements and what the server's errors mean. It does not know the
//! rules of a message's state: the batch is folded with `domain`, and SQL only takes the
//! greater of two ranks, the earlier of two times and the union of two masks.
//!
//! Start reading at [`PostgresStore`], then `record.rs`: the one statement that everything
//! else is shaped by. The tables stand in `migrations/postgres`.

mod attempts;
mod batch;
mod channel_rows;
mod channels;
mod connection;
mod cursors;
mod deliveries;
mod delivery_queue;
mod delivery_retention;
mod delivery_rows;
mod durability;
mod encoding;
mod erasure_rows;
mod erasure_step;
mod erasures;
mod error;
mod ids;
mod locks;
mod log;
mod log_marks;
mod message_retention;
mod partitions;
mod patience;
mod races;
mod record;
mod rejections;
mod reports;
mod retention;
mod retention_runs;
mod rows;
mod schema;
mod sqlstate;
mod stale;
mod subscription_rows;
mod subscriptions;
mod warm;

pub use connection::{InvalidPostgresUrl, Options, PostgresStore};
