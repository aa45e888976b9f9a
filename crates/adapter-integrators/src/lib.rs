//! The supported integrators: how each authenticates and how its requests are parsed.
//!
//! There is one folder per integrator. Everything is a pure function of bytes, tested with tables
//! and by fuzzing; this crate knows no HTTP server, no store and no clock, and it logs nothing.
//!
//! The folder of 360dialog is `dialog360`, since a module cannot begin with a digit.
//!
//! Start reading at [`koomessage`], the smallest. To add an integrator, add a folder that
//! implements [`ports::Integrator`], a line in [`all`], its samples in `tests/fixtures`, its
//! requests in `tests/conformance.rs`, its error codes in `crates/domain/data/error_codes.tsv` and
//! a page in `docs/integrators`.

pub mod basic;
pub mod callback_url;
mod credentials;
pub mod dialog360;
pub mod gupshup;
pub mod infobip;
mod json;
pub mod json_integrator;
pub mod koomessage;
pub mod meta;
mod meta_envelope;
mod redaction;
pub mod twilio;

use std::sync::Arc;

use domain::IntegratorName;
use ports::Integrator;

/// Returns all integrators, each with a name of its own.
#[must_use]
pub fn all() -> Vec<Arc<dyn Integrator>> {
    vec![
        Arc::new(twilio::Twilio::new()),
        Arc::new(infobip::infobip()),
        Arc::new(gupshup::gupshup()),
        Arc::new(koomessage::koomessage()),
        Arc::new(dialog360::dialog360()),
        Arc::new(meta::Meta::new()),
    ]
}

/// Parses the name of an integrator of this crate.
#[expect(clippy::expect_used, reason = "the names are constants, and tested")]
fn name(text: &str) -> IntegratorName {
    IntegratorName::parse(text).expect("a constant that is an integrator's name")
}
