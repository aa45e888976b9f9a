//! Infobip: an array of reports, statuses as numbers with names, errors beside them.

use serde_json::{Value, json};

use super::{ReportTime, ReportedStep, bare};
use crate::history::{Step, failure, step};

const ACCEPTED: Step = step("accepted");
const SENDING: Step = step("sending");
const SENT: Step = step("sent");
const DELIVERED: Step = step("delivered");
const READ: Step = step("read");
const DELETED: Step = step("deleted");
const NO_SESSION: Step = failure("undelivered", "7010", "No session with the user");
const TIMED_OUT: Step = failure("failed", "7051", "Provider timeout");
const NO_CREDITS: Step = failure("failed", "status-12", "Not enough credits");

/// How many of 100 messages have which history.
pub(super) const HISTORIES: [(usize, &[Step]); 10] = [
    (35, &[ACCEPTED, SENDING, SENT, DELIVERED, READ]),
    (20, &[SENDING, DELIVERED, READ]),
    (15, &[SENT, DELIVERED]),
    (10, &[SENT, READ]),
    (6, &[ACCEPTED, NO_SESSION]),
    (4, &[SENDING, TIMED_OUT]),
    (3, &[NO_CREDITS]),
    (3, &[SENT, NO_SESSION, DELIVERED]),
    (2, &[DELIVERED, READ, DELETED]),
    (2, &[DELETED]),
];

/// Histories with reports in the wrong order, failures and a status that moves nothing.
pub(super) const DISORDERLY: [[Step; 3]; 8] = [
    [SENT, DELIVERED, READ],
    [DELIVERED, SENT, READ],
    [READ, DELIVERED, SENT],
    [READ, ACCEPTED, DELIVERED],
    [SENT, NO_SESSION, DELIVERED],
    [TIMED_OUT, SENDING, SENT],
    [SENT, DELETED, DELIVERED],
    [TIMED_OUT, NO_CREDITS, ACCEPTED],
];

pub(super) fn body(reports: &[ReportedStep<'_>], time: &ReportTime) -> Value {
    let results = reports.iter().map(|report| element(report, time));
    json!({ "results": results.collect::<Vec<_>>() })
}

fn element(report: &ReportedStep<'_>, time: &ReportTime) -> Value {
    let ReportedStep { subject, step } = report;
    let (sid, to, from) = (subject.sid, bare(subject.recipient), bare(subject.sender));
    let (group, group_name, id, name) = match (step.status, step.error.map(|error| error.code)) {
        ("read", _) => {
            return json!({
                "messageId": sid, "from": from, "to": to,
                "sentAt": time.text, "seenAt": time.text,
            });
        }
        ("deleted", _) => {
            return json!({ "messageId": sid, "from": from, "to": to, "deletedAt": time.text });
        }
        ("accepted", _) => (1, "PENDING", 26, "PENDING_ACCEPTED"),
        ("sending", _) => (1, "PENDING", 7, "PENDING_ENROUTE"),
        ("sent", _) => (1, "PENDING", 3, "PENDING_WAITING_DELIVERY"),
        ("delivered", _) => (3, "DELIVERED", 5, "DELIVERED_TO_HANDSET"),
        (_, Some("status-12")) => (5, "REJECTED", 12, "REJECTED_NOT_ENOUGH_CREDITS"),
        ("failed", _) => (2, "UNDELIVERABLE", 31, "UNDELIVERABLE_NOT_SENT"),
        _ => (2, "UNDELIVERABLE", 4, "UNDELIVERABLE_REJECTED_OPERATOR"),
    };
    // The reason of a rejection is its status; its error says that there is none.
    let error = step
        .error
        .filter(|error| !error.code.starts_with("status-"));
    let code: u16 = error.and_then(|error| error.code.parse().ok()).unwrap_or(0);
    json!({
        "bulkId": "",
        "price": { "pricePerMessage": 0.021, "currency": "EUR" },
        "status": {
            "groupId": group, "groupName": group_name, "id": id, "name": name,
            "description": name,
        },
        "error": {
            "groupId": u8::from(code != 0),
            "groupName": if code == 0 { "OK" } else { "USER_ERRORS" },
            "id": code,
            "description": error.map_or("No Error", |error| error.text),
            "permanent": code == 7010,
        },
        "messageId": sid,
        "doneAt": time.text,
        "messageCount": 1,
        "sentAt": time.text,
        "to": to,
    })
}
