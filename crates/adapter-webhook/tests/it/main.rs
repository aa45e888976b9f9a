//! The sink against servers that behave, misbehave and lie.

mod answers;
mod delivering;
mod faults;
mod forwarding;
mod probe;
mod proxy;
mod reach;
mod reconciliation;
mod records;
mod server;
mod support;
mod tls;
