//! How the status of a message looks: a word, a shape and a colour.

use domain::{DeliveryState, DeliveryStatus, Message};

use crate::html::Html;

/// The look of a status: the name of its colour, the name of its shape, and its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StatusLook {
    /// The class of the colour.
    pub(crate) tone: &'static str,
    /// The id of the shape in the layout.
    pub(crate) shape: &'static str,
    /// The word for people.
    pub(crate) word: &'static str,
}

/// The look of a message whose reports had no known status.
pub(crate) const UNKNOWN: StatusLook = StatusLook {
    tone: "waiting",
    shape: "unknown",
    word: "No status",
};

/// The look of a message that was reported both as arrived and as failed.
pub(crate) const CONTRADICTED: StatusLook = StatusLook {
    tone: "contradicted",
    shape: "contradicted",
    word: "Contradicted",
};

/// Returns the look of a status.
pub(crate) const fn look(status: DeliveryStatus) -> StatusLook {
    let (tone, shape, word) = match status {
        DeliveryStatus::Accepted => ("waiting", "waiting", "Accepted"),
        DeliveryStatus::Scheduled => ("waiting", "waiting", "Scheduled"),
        DeliveryStatus::Queued => ("waiting", "waiting", "Queued"),
        DeliveryStatus::Sending => ("waiting", "waiting", "Sending"),
        DeliveryStatus::Sent => ("sent", "sent", "Sent"),
        DeliveryStatus::PartiallyDelivered => ("sent", "partial", "Partially delivered"),
        DeliveryStatus::Canceled => ("waiting", "canceled", "Canceled"),
        DeliveryStatus::Failed => ("failed", "failed", "Failed"),
        DeliveryStatus::Undelivered => ("failed", "failed", "Undelivered"),
        DeliveryStatus::Delivered => ("delivered", "delivered", "Delivered"),
        DeliveryStatus::Read => ("read", "read", "Read"),
    };
    StatusLook { tone, shape, word }
}

impl StatusLook {
    /// Shows it as a chip.
    pub(crate) fn chip(self) -> Html {
        let Self { tone, shape, word } = self;
        chip(tone, shape, word)
    }
}

/// Shows a chip with a colour, a shape and a word. All three are names of this program.
pub(crate) fn chip(tone: &str, shape: &str, word: &str) -> Html {
    Html::trusted(format!(
        "<span class=\"chip tone-{tone}\"><svg class=\"mark\" viewBox=\"0 0 16 16\" \
         aria-hidden=\"true\"><use href=\"#mark-{shape}\"/></svg>{word}</span>"
    ))
}

/// Shows that a message is that of a test.
pub(crate) fn test_chip() -> Html {
    chip("waiting", "info", "Test")
}

/// Shows the status of a message, and whether it is contradicted or a test message.
pub(crate) fn of_message(message: &Message) -> Html {
    let status = message.state.status().map_or(UNKNOWN, look);
    if message.key.sid.is_test() {
        return Html::trusted(format!("{} {}", status.chip(), test_chip()));
    }
    if message.state.contradicted() {
        let (status, contradicted) = (status.chip(), CONTRADICTED.chip());
        return Html::trusted(format!("{status} {contradicted}"));
    }
    status.chip()
}

/// Shows the state of a delivery to a subscription.
pub(crate) fn delivery_chip(state: DeliveryState) -> Html {
    match state {
        DeliveryState::Delivered => chip("delivered", "sent", "Delivered"),
        DeliveryState::Retrying => chip("caution", "quiet", "Retrying"),
        DeliveryState::Waiting => chip("waiting", "waiting", "Waiting"),
        DeliveryState::Dead => chip("failed", "failed", "Dead letter"),
    }
}
