//! What tests of several crates share: the promises of the store ports as
//! tests, a store in memory that keeps them, a clock and ids that do as they
//! are told, builders of valid values, a throw-away PostgreSQL server, and a
//! count of what reaches the disk.
//!
//! It deliberately knows no store but the one in memory: an adapter hands its
//! own to [`contract_tests!`]. It is a dev-dependency only.
//!
//! Start reading at [`contract`].

pub mod builders;
pub mod clock;
pub mod cluster;
pub mod contract;
pub mod memory;
pub mod syncs;
