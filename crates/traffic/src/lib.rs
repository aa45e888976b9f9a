//! Generates the requests that Twilio sends.
//!
//! [`history`] lists what happens to messages. [`plan`] turns histories into the traffic of one
//! simulated run: late, repeated and mixed reports, from a seed. [`stream`] numbers the reports of
//! endless traffic, for load generators. [`form`] writes a report as Twilio does, [`request`] as
//! bytes on a connection, and [`signature`] signs it.

pub mod form;
pub mod history;
pub mod plan;
pub mod request;
pub mod signature;
pub mod stream;
