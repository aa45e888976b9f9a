//! Gupshup: events of version 2, and for every other message Meta's envelope, its version 3.

use serde_json::{Value, json};

use super::{ReportTime, ReportedStep, bare, meta, with};
use crate::history::{Step, failure, step};

const QUEUED: Step = step("queued");
const SENT: Step = step("sent");
const DELIVERED: Step = step("delivered");
const READ: Step = step("read");
const OUTSIDE_WINDOW: Step = failure("failed", "131047", "More than 24 hours have passed");
const NOT_ON_WHATSAPP: Step = failure("failed", "1002", "Number Does Not Exist On WhatsApp");

/// How many of 100 messages have which history.
pub(super) const HISTORIES: [(usize, &[Step]); 7] = [
    (40, &[QUEUED, SENT, DELIVERED, READ]),
    (20, &[QUEUED, SENT, DELIVERED]),
    (15, &[SENT, READ]),
    (10, &[DELIVERED, READ]),
    (7, &[QUEUED, NOT_ON_WHATSAPP]),
    (5, &[QUEUED, SENT, OUTSIDE_WINDOW]),
    (3, &[SENT, OUTSIDE_WINDOW, DELIVERED]),
];

pub(super) fn body(report: &ReportedStep<'_>, time: &ReportTime) -> Value {
    let ReportedStep { subject, step } = report;
    let is_version_3 = subject.sid.bytes().last().is_some_and(|byte| byte % 2 == 1);
    if is_version_3 {
        return meta::body(std::slice::from_ref(report), time, status_of_version_3);
    }
    let inner = match step.error {
        Some(error) => json!({
            "code": error.code.parse::<u32>().unwrap_or_default(), "reason": error.text,
        }),
        None if step.status == "queued" => {
            json!({ "whatsappMessageId": whatsapp_id(subject.sid), "type": "session" })
        }
        None => json!({ "ts": time.unix_seconds }),
    };
    let payload = json!({
        "type": if step.status == "queued" { "enqueued" } else { step.status },
        "destination": bare(subject.recipient),
        "payload": inner,
    });
    // Before WhatsApp has the message, Gupshup's own id is the only one.
    let is_known_to_whatsapp = step.status != "queued" && step.error != NOT_ON_WHATSAPP.error;
    let payload = if is_known_to_whatsapp {
        let payload = with(payload, "id", whatsapp_id(subject.sid));
        with(payload, "gsId", subject.sid)
    } else {
        with(payload, "id", subject.sid)
    };
    json!({
        "app": "ExampleApp",
        "timestamp": time.unix_seconds * 1_000,
        "version": 2,
        "type": "message-event",
        "payload": payload,
    })
}

fn status_of_version_3(report: &ReportedStep<'_>, time: &ReportTime) -> Value {
    let ReportedStep { subject, step } = report;
    let status = json!({
        "gs_id": subject.sid,
        "id": whatsapp_id(subject.sid),
        "recipient_id": bare(subject.recipient),
        "status": if step.status == "queued" { "enqueued" } else { step.status },
        "timestamp": time.unix_seconds.to_string(),
    });
    match step.error {
        Some(error) => with(with(status, "code", error.code), "reason", error.text),
        None => status,
    }
}

/// Returns the id that WhatsApp gives to a message.
fn whatsapp_id(sid: &str) -> String {
    format!("wamid.{}AA==", sid.replace('-', "").to_uppercase())
}
