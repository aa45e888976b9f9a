//! Shared test support: the contract suites of the store ports, the conformance kit of integrators,
//! an in-memory store that passes them, a settable clock, builders of valid values, a throw-away
//! PostgreSQL server, a headless browser, a fake of Twilio's Messages API, and a counter of disk
//! syncs.
//!
//! It depends on no other store: an adapter passes its own to [`contract_tests!`]. It is a
//! dev-dependency only.
//!
//! Start reading at [`contract`].

pub mod browser;
pub mod builders;
pub mod clock;
pub mod cluster;
pub mod contract;
pub mod discarding_store;
pub mod fake_twilio;
pub mod integrators;
pub mod memory;
mod packages;
pub mod probe;
pub mod syncs;
