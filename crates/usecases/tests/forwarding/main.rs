//! Forwarding: requests that are not reports are stored before they are answered, and sent until
//! their URL takes them.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic, its helpers too"
)]

mod receiving;
mod sending;
mod world;
