//! Generates the requests that integrators send.
//!
//! [`history`] lists what happens to messages. [`plan`] turns histories into the traffic of one
//! simulated run: late, repeated and mixed reports, from a seed. [`stream`] numbers the reports of
//! endless traffic, for load generators. [`form`] writes a report as Twilio does, [`request`] as
//! bytes on a connection, and [`signature`] signs it. [`integrator`] writes reports as the other
//! integrators do.

pub mod form;
pub mod history;
pub mod integrator;
pub mod plan;
pub mod request;
pub mod signature;
pub mod stream;
