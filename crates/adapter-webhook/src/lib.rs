//! Sends one event to one subscriber over HTTP, signed by the Standard Webhooks
//! convention.
//!
//! What is sent, to whom, in which order and when again is deliberately not
//! known here: this crate keeps no list, starts no task and logs nothing.
//! Subscribers are strangers, so nothing they do may cost more than the time
//! and the bytes that are set here, and nothing they name may lead into the
//! inner network.
//!
//! Start reading at [`WebhookSink`]; what may be connected to stands in `reach`.

mod answer;
mod connected;
mod failure;
mod kept;
mod proxy;
mod reach;
mod sink;

pub use proxy::{InvalidProxyUrl, ProxyUrl};
pub use sink::{SetupError, WebhookSettings, WebhookSink};
