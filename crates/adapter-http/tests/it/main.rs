//! The two listeners over real HTTP.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic, its helpers too"
)]
#![expect(
    unreachable_pub,
    reason = "the tests of the whole program share some of these files"
)]

mod answers;
mod channels;
mod client;
mod connections;
mod cursors;
mod erasures;
mod events;
mod fixture;
mod limits;
mod messages;
mod operating;
mod parrot;
mod places;
mod pushed;
mod service;
mod streams;
mod webhook;
