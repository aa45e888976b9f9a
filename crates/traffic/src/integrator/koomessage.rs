//! `KooMessage`: an object with four fields, and no error codes.

use serde_json::{Value, json};

use super::{ReportedStep, bare};
use crate::history::{Step, step};

const SENT: Step = step("sent");
const DELIVERED: Step = step("delivered");
const READ: Step = step("read");
const FAILED: Step = step("failed");
const UNKNOWN: Step = step("sent_to_gateway");

/// How many of 100 messages have which history.
pub(super) const HISTORIES: [(usize, &[Step]); 6] = [
    (50, &[SENT, DELIVERED, READ]),
    (25, &[SENT, DELIVERED]),
    (10, &[UNKNOWN, DELIVERED]),
    (10, &[SENT, FAILED]),
    (3, &[FAILED, DELIVERED]),
    (2, &[UNKNOWN]),
];

pub(super) fn body(report: &ReportedStep<'_>) -> Value {
    json!({
        "sender": bare(report.subject.sender),
        "user_number": bare(report.subject.recipient),
        "message_id": report.subject.sid,
        "status": report.step.status,
    })
}
