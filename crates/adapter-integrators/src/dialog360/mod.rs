//! 360dialog: Basic authentication without a challenge, and the envelope of Meta's Cloud API,
//! repeated for days until it is answered with success.

use ports::integrator::{AnswerPolicy, ParseError};
use serde_json::{Value, json};

use crate::json_integrator::{JsonIntegrator, SentCredentials};
use crate::{json, meta_envelope};

/// Returns the integrator; all settings belong to the channels.
#[must_use]
pub fn dialog360() -> JsonIntegrator {
    JsonIntegrator {
        name: crate::name("360dialog"),
        path_word: "report",
        credentials: SentCredentials::Basic,
        body_max: 4 * 1_048_576,
        answers: AnswerPolicy {
            success: 200,
            redelivers: true,
        },
        parse: |body: &Value| {
            if !body.is_object() {
                return Err(ParseError::Invalid(json::not_an_object("body")));
            }
            meta_envelope::parse(body, &["id"])
        },
        element: meta_envelope::element,
        test_body: |report| {
            json!({ "object": "whatsapp_business_account", "entry": [{ "changes": [{
                "field": "messages",
                "value": {
                    "messaging_product": "whatsapp",
                    "metadata": { "display_phone_number": report.sender.reveal() },
                    "statuses": [{
                        "id": report.sid.as_str(),
                        "status": "delivered",
                        "recipient_id": report.recipient.reveal(),
                    }],
                },
            }]}]})
        },
        setup_steps: &[
            "Set the callback URL as the webhook URL of the number at 360dialog, with the header \
             Authorization: Basic and the base64 of USER:PASSWORD in its headers.",
            "A number has one webhook URL. Use it here only if the number's incoming messages are \
             not needed: they are acknowledged and ignored.",
        ],
    }
}
