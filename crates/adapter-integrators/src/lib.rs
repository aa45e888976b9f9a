//! The supported integrators: how each authenticates and how its requests are parsed.
//!
//! There is one folder per integrator. Everything is a pure function of bytes, tested with tables
//! and by fuzzing; this crate knows no HTTP server, no store and no clock, and it logs nothing.
//!
//! Start reading at [`twilio`]. To add an integrator, add a folder that implements
//! [`ports::Integrator`] and a line in [`all`].

pub mod twilio;

use std::sync::Arc;

use ports::Integrator;

/// Returns all integrators, each with a name of its own.
#[must_use]
pub fn all() -> Vec<Arc<dyn Integrator>> {
    vec![Arc::new(twilio::Twilio::new())]
}
