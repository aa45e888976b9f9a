//! Sentences about a change that was just made. The redirect after the change names one, so that
//! no text of a request gets into a page.

/// The parameter of the query that names the sentence.
pub(crate) const PARAMETER: &str = "done";

/// Returns the sentence of a name.
pub(crate) fn sentence(name: &str) -> Option<&'static str> {
    Some(match name {
        "channel-changed" => "The channel was changed.",
        "channel-removed" => "The channel was removed. Its messages are kept.",
        "channel-enabled" => "The channel receives reports again.",
        "channel-disabled" => "The channel is off: its reports are refused and kept as rejections.",
        "account-changed" => "The account for reconciliation was changed.",
        "credential-removed" => "The credential was removed.",
        "sender-added" => "The sender was added; its reports are received from now on.",
        "subscription-changed" => "The subscription was changed.",
        "subscription-paused" => "The subscription is paused. Its events wait in the log.",
        "subscription-resumed" => "The subscription is active again.",
        "subscription-skipped" => {
            "The subscription is active again. Retention had removed some of its events, so it \
             continues with the oldest report."
        }
        "subscription-removed" => "The subscription and its deliveries were removed.",
        "deliveries-retried" => {
            "The dead letters are attempted again now, in the order of their events."
        }
        "delivery-retried" => "The delivery is attempted again now.",
        "trouble-snoozed" => "The trouble is snoozed: no notices are sent about it until then.",
        "snooze-ended" => "The snooze has ended. Notices about the trouble are sent again.",
        "rules-changed" => "The rules were changed. They apply from the next evaluation on.",
        "token-revoked" => "The token was revoked, and its sessions have ended.",
        "session-ended" => "The session was ended.",
        "recipient-erased" => "The erasure has begun. It is finished when the list says so.",
        "view-saved" => "The view was saved for all operators.",
        "view-removed" => "The view was removed.",
        "replay-started" => "Events are being sent again, with the same ids.",
        _ => return None,
    })
}
