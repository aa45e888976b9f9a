//! The integrators this program understands: how each proves itself, and how
//! its bytes become reports.
//!
//! One folder an integrator. Everything is a pure function of bytes, so it is
//! tested with tables and fuzzed; this crate deliberately knows no HTTP server,
//! no store and no clock, and it logs nothing.
//!
//! Start reading at [`twilio`]. A new integrator is a new folder that
//! implements [`ports::Integrator`], and a line in [`all`].

pub mod twilio;

use std::sync::Arc;

use ports::Integrator;

/// Every integrator, in no particular order. Their names differ.
#[must_use]
pub fn all() -> Vec<Arc<dyn Integrator>> {
    vec![Arc::new(twilio::Twilio::new())]
}
