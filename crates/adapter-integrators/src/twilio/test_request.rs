//! The request of a test, as Twilio would send it.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ports::integrator::{SignedRequest, TestReport, TestRequest};

use super::{MEDIA_TYPE, signature};
use crate::credentials::basic_value;

/// Builds the request that reports a message as delivered.
pub(super) fn build(
    report: TestReport<'_>,
    (user, password): (&str, &str),
    signed: Option<SignedRequest<'_>>,
) -> TestRequest {
    let sid = report.sid.as_str();
    let fields = [
        ("MessageSid", sid),
        ("SmsSid", sid),
        ("MessageStatus", "delivered"),
        ("SmsStatus", "delivered"),
        ("To", report.recipient.reveal()),
        ("From", report.sender.reveal()),
        ("ChannelPrefix", "whatsapp"),
        ("ApiVersion", "2010-04-01"),
    ];
    let fields = fields.map(|(name, value)| {
        let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
        format!("{name}={value}")
    });
    let body = fields.join("&").into_bytes();
    let mut headers = vec![
        ("Content-Type", format!("{MEDIA_TYPE}; charset=UTF-8")),
        ("I-Twilio-Idempotency-Token", sid.to_owned()),
    ];
    if let Some(signed) = signed {
        headers.extend(signature::sign(&body, signed));
    }
    TestRequest {
        headers,
        authorization: vec![("Authorization", basic_value(user, password))],
        body,
    }
}
