//! The stores on PostgreSQL 15 and later.
//!
//! This crate knows tables, statements and the meaning of the server's errors. It does not know
//! the rules of a message's state: a batch is folded with `domain`, and SQL only takes the higher
//! of two ranks, the earlier of two times and the union of two masks.
//!
//! Start reading at [`PostgresStore`], then `reports/record.rs`: the one statement that records
//! a batch. The tables are in `migrations/postgres`.

mod access;
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
mod runtime;
mod schema;
mod sqlstate;
mod statistics;
mod sticky_connections;
mod subscriptions;
mod troubles;

pub use connection::{InvalidPostgresUrl, Options, PostgresStore};
