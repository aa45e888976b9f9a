//! What happens to messages, and how often.

/// One status report in the history of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// `MessageStatus`.
    pub status: &'static str,
    /// The error that the report contains.
    pub error: Option<StepError>,
}

/// The error in a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepError {
    /// `ErrorCode`.
    pub code: &'static str,
    /// `ErrorMessage`; the field is left out if this is empty.
    pub text: &'static str,
}

/// A status that no documentation mentions.
pub const UNKNOWN_STATUS: &str = "expired_on_device";

const ACCEPTED: Step = step("accepted");
const SCHEDULED: Step = step("scheduled");
const QUEUED: Step = step("queued");
const SENDING: Step = step("sending");
const SENT: Step = step("sent");
const SOME_DELIVERED: Step = step("partially_delivered");
const CANCELED: Step = step("canceled");
const DELIVERED: Step = step("delivered");
const READ: Step = step("read");
const UNKNOWN: Step = step(UNKNOWN_STATUS);
const FAILED_WITHOUT_CODE: Step = step("failed");
const OUTSIDE_WINDOW: Step = failure(
    "failed",
    "63016",
    "Outside the allowed window; use a template",
);
const NOT_ON_WHATSAPP: Step = failure("undelivered", "63024", "");
const UNKNOWN_REASON: Step = failure("undelivered", "30008", "Unknown error");

/// How many of 100 simulated messages have which history.
pub const HISTORIES: [(usize, &[Step]); 17] = [
    (30, &[QUEUED, SENT, DELIVERED, READ]),
    (20, &[SENT, DELIVERED, READ]),
    (14, &[SENT, DELIVERED]),
    // Several devices, or a report that was lost: read without delivered.
    (8, &[SENT, READ]),
    (4, &[ACCEPTED, QUEUED, SENDING, SENT, DELIVERED]),
    (2, &[SCHEDULED, QUEUED, SENT, DELIVERED, READ]),
    (1, &[SCHEDULED, CANCELED]),
    (4, &[QUEUED, OUTSIDE_WINDOW]),
    (3, &[SENT, NOT_ON_WHATSAPP]),
    (2, &[SENT, UNKNOWN_REASON]),
    (2, &[QUEUED, FAILED_WITHOUT_CODE]),
    (2, &[FAILED_WITHOUT_CODE, OUTSIDE_WINDOW, NOT_ON_WHATSAPP]),
    // Failed on one device, delivered on another: contradicted.
    (3, &[SENT, NOT_ON_WHATSAPP, DELIVERED, READ]),
    (2, &[QUEUED, OUTSIDE_WINDOW, DELIVERED]),
    (1, &[SENT, SOME_DELIVERED]),
    (1, &[SENT, UNKNOWN, DELIVERED]),
    (1, &[UNKNOWN]),
];

/// The history of a message without trouble.
pub const ORDERLY: [Step; 3] = [SENT, DELIVERED, READ];

/// Histories with reports in the wrong order, failures and unknown statuses.
pub(crate) const DISORDERLY: [[Step; 3]; 8] = [
    ORDERLY,
    [DELIVERED, SENT, READ],
    [READ, DELIVERED, SENT],
    [READ, QUEUED, DELIVERED],
    [SENT, failure("undelivered", "63016", "Not sent"), DELIVERED],
    [failure("failed", "63024", "Not sent"), QUEUED, SENT],
    [SENT, step("teleported"), DELIVERED],
    [
        failure("failed", "63016", "Not sent"),
        failure("failed", "63024", "Not sent"),
        ACCEPTED,
    ],
];

/// Returns a report of `status` without an error.
#[must_use]
pub const fn step(status: &'static str) -> Step {
    Step {
        status,
        error: None,
    }
}

/// Returns a report of `status` with an error.
#[must_use]
pub const fn failure(status: &'static str, code: &'static str, text: &'static str) -> Step {
    Step {
        status,
        error: Some(StepError { code, text }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_histories_add_up_to_100() {
        assert_eq!(HISTORIES.iter().map(|(share, _)| share).sum::<usize>(), 100);
    }
}
