//! Sends one event to one subscriber over HTTP, signed by the Standard Webhooks convention, and
//! forwards requests as they arrived.
//!
//! The caller decides what is sent, to which endpoint, in which order and when again: this crate
//! stores no list, starts no task and logs nothing. Subscribers are not trusted, so no endpoint can
//! cost more than the configured time and bytes, and no URL can lead into the internal network.
//!
//! [`UrlProber`] calls public URLs of this service, to test them. [`TwilioMessages`] reads Twilio's
//! own records of messages.
//!
//! Start reading at [`WebhookSink`]; `allowed_addresses.rs` defines what may be connected to.

mod allowed_addresses;
mod connected;
mod connection_budget;
mod failure;
mod probe;
mod proxy;
mod response;
mod sender;
mod twilio_messages;

pub use probe::UrlProber;
pub use proxy::{InvalidProxyUrl, ProxyUrl};
pub use sender::{SetupError, WebhookSettings, WebhookSink};
pub use twilio_messages::{InvalidApiUrl, TwilioMessages};
