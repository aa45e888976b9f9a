//! 360dialog: Basic authentication without a challenge, and the envelope of Meta's Cloud API,
//! repeated for days until it is answered with success.

use crate::json_integrator::{BATCHES, JsonIntegrator, SentCredentials};
use crate::meta_envelope;

/// Returns the integrator; all settings belong to the channels.
#[must_use]
pub fn dialog360() -> JsonIntegrator {
    JsonIntegrator {
        name: crate::name("360dialog"),
        endpoint: BATCHES,
        credentials: SentCredentials::Basic,
        parse: meta_envelope::parse_unchanged,
        element: meta_envelope::element,
        test_body: meta_envelope::test_body,
        forwarded_headers: Some(&["X-Hub-Signature-256"]),
        setup_steps: &[
            "Set the callback URL as the webhook URL of the number at 360dialog, with the header \
             Authorization: Basic and the base64 of USER:PASSWORD in its headers.",
            "A number has one webhook URL, for incoming messages too. Set the forward URL of the \
             channel to the URL that needs them; without one they are acknowledged and dropped.",
        ],
    }
}
