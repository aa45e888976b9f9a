//! The envelope of Meta's Cloud API, which 360dialog and Gupshup pass on.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{ReportTime, ReportedStep, bare, with};
use crate::history::{Step, failure, step};

const SENT: Step = step("sent");
const DELIVERED: Step = step("delivered");
const READ: Step = step("read");
const OUTSIDE_WINDOW: Step = failure("failed", "131047", "Re-engagement message");
const NOT_HEALTHY: Step = failure("failed", "131049", "Not delivered to maintain engagement");

/// How many of 100 messages have which history.
pub(super) const HISTORIES: [(usize, &[Step]); 6] = [
    (50, &[SENT, DELIVERED, READ]),
    (22, &[SENT, DELIVERED]),
    (15, &[SENT, READ]),
    (6, &[OUTSIDE_WINDOW]),
    (4, &[SENT, NOT_HEALTHY]),
    (3, &[SENT, NOT_HEALTHY, DELIVERED]),
];

/// Returns an envelope whose statuses are written by `status`.
pub(super) fn body(
    reports: &[ReportedStep<'_>],
    time: &ReportTime,
    status: fn(&ReportedStep<'_>, &ReportTime) -> Value,
) -> Value {
    let sender = reports.first().map(|report| bare(report.subject.sender));
    let statuses: Vec<_> = reports.iter().map(|report| status(report, time)).collect();
    json!({ "object": "whatsapp_business_account", "entry": [{
        "id": "200000000000001",
        "changes": [{ "field": "messages", "value": {
            "messaging_product": "whatsapp",
            "metadata": {
                "display_phone_number": sender, "phone_number_id": "100000000000001",
            },
            "statuses": statuses,
        }}],
    }]})
}

/// Signs a body with an app secret: HMAC-SHA256 in lower-case hex digits.
pub(super) fn sign(secret: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes any key");
    mac.update(body.as_bytes());
    let digits = mac.finalize().into_bytes();
    let digits = digits.iter().map(|byte| format!("{byte:02x}"));
    format!("sha256={}", digits.collect::<String>())
}

/// Writes a status as Meta does.
pub(super) fn status(report: &ReportedStep<'_>, time: &ReportTime) -> Value {
    let ReportedStep { subject, step } = report;
    let status = json!({
        "id": subject.sid,
        "status": step.status,
        "timestamp": time.unix_seconds.to_string(),
        "recipient_id": bare(subject.recipient),
    });
    let Some(error) = step.error else {
        return status;
    };
    let code: u32 = error.code.parse().unwrap_or_default();
    let errors = json!([{ "code": code, "title": error.text }]);
    with(status, "errors", errors)
}

#[cfg(test)]
mod tests {
    use super::sign;

    #[test]
    fn signature_is_that_of_a_published_vector() {
        // RFC 4231, test case 2.
        assert_eq!(
            sign("Jefe", "what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
