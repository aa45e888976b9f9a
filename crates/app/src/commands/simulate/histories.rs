//! What happens to messages, and how often.

/// One report as it is told of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The status word.
    pub word: &'static str,
    /// The error that comes with it.
    pub error: Option<Failure>,
}

/// An error as it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// `ErrorCode`.
    pub code: &'static str,
    /// `ErrorMessage`; empty if it is left out.
    pub text: &'static str,
}

/// A word that no documentation knows.
pub const UNKNOWN_WORD: &str = "expired_on_device";

const ACCEPTED: Step = told("accepted");
const SCHEDULED: Step = told("scheduled");
const QUEUED: Step = told("queued");
const SENDING: Step = told("sending");
const SENT: Step = told("sent");
const SOME_DELIVERED: Step = told("partially_delivered");
const CANCELED: Step = told("canceled");
const DELIVERED: Step = told("delivered");
const READ: Step = told("read");
const UNKNOWN: Step = told(UNKNOWN_WORD);
const FAILED_WITHOUT_CODE: Step = told("failed");
const OUTSIDE_WINDOW: Step = failure(
    "failed",
    "63016",
    "Outside the allowed window; use a template",
);
const NOT_ON_WHATSAPP: Step = failure("undelivered", "63024", "");
const UNKNOWN_REASON: Step = failure("undelivered", "30008", "Unknown error");

/// How many of a hundred messages have which history.
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

const fn told(word: &'static str) -> Step {
    Step { word, error: None }
}

const fn failure(word: &'static str, code: &'static str, text: &'static str) -> Step {
    Step {
        word,
        error: Some(Failure { code, text }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_make_a_hundred() {
        assert_eq!(HISTORIES.iter().map(|(share, _)| share).sum::<usize>(), 100);
    }
}
