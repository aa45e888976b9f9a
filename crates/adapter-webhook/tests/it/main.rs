//! The sink against servers that behave, misbehave and lie.

mod answers;
mod faults;
mod proxy;
mod pushing;
mod reach;
mod server;
mod support;
mod tls;
