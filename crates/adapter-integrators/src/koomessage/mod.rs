//! `KooMessage`: the password alone in `Authorization`, and a JSON object with one report.

use domain::{Address, Alias, ReportedStatus};
use ports::integrator::{ParseError, ParsedBody, ParsedReport, ValidationError};
use serde_json::{Value, json};

use crate::json;
use crate::json_integrator::{JsonIntegrator, SINGLE_REPORTS, SentCredentials};

/// Returns the integrator; all settings belong to the channels.
#[must_use]
pub fn koomessage() -> JsonIntegrator {
    JsonIntegrator {
        name: crate::name("koomessage"),
        // Nothing is known about retries, so refusals are refusals.
        endpoint: SINGLE_REPORTS,
        credentials: SentCredentials::Key("Authorization"),
        parse,
        element: |body, _| Some(body),
        test_body: |report| {
            json!({
                "message_id": report.sid.as_str(),
                "sender": report.sender.reveal(),
                "user_number": report.recipient.reveal(),
                "status": "delivered",
            })
        },
        forwarded_headers: None,
        setup_steps: &[
            "Give KooMessage the callback URL as the address of delivery reports.",
            "Give it the password as the value of the header Authorization, without a scheme or \
             user in front of it.",
        ],
    }
}

fn parse(body: &Value) -> Result<ParsedBody, ParseError> {
    if !body.is_object() {
        return Err(ParseError::Invalid(json::not_an_object("body")));
    }
    report(body).map(Into::into).map_err(ParseError::Invalid)
}

fn report(element: &Value) -> Result<ParsedReport, ValidationError> {
    Ok(ParsedReport {
        index: 0,
        sid: json::message_id(element, &["message_id"], "message_id")?,
        status: json::required(element, &["status"], "status", ReportedStatus::parse)?,
        error: None,
        recipient: json::required(element, &["user_number"], "user_number", Address::parse)?,
        sender: json::address(element, &["sender"]),
        alias: Alias::None,
        happened_at: None,
        fields: json::fields(element, &["message_id", "status", "user_number", "sender"]),
        idempotency_token: None,
    })
}
