//! The stores on PostgreSQL 15 and later.
//!
//! It knows tables, statements and what the server's errors mean. It does not know the
//! rules of a message's state: the batch is folded with `domain`, and SQL only takes the
//! greater of two ranks, the earlier of two times and the union of two masks.
//!
//! Start reading at [`PostgresStore`], then `reports/record.rs`: the one statement that everything
//! else is shaped by. The tables stand in `migrations/postgres`.

mod channels;
mod connection;
mod durability;
mod encoding;
mod error;
mod events;
mod failover;
mod maintenance;
mod reports;
mod retry;
mod rows;
mod schema;
mod sqlstate;
mod sticky_connections;
mod subscriptions;
mod timeout;

pub use connection::{InvalidPostgresUrl, Options, PostgresStore};
