//! The body of a report, with the fields that Twilio sends.

use crate::history::Step;

const ACCOUNT: &str = "AC20dfc0ab5df7f9861fd50ba4c6c0d31b";
const INSTALLATION: &str = "XE823cb84a73cd00c3731c7ebc804a13d3";
const MESSAGING_SERVICE: &str = "MG00000000000000000000000000005e1f";

/// The recipient of traffic in which recipients do not matter.
pub const RECIPIENT: &str = "whatsapp:+15550100001";
/// The sender of traffic in which senders do not matter.
pub const SENDER: &str = "whatsapp:+15550109001";

/// The message that a form reports on.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// `MessageSid`: `SM` or, with media, `MM`, and 32 hex digits.
    pub sid: &'a str,
    /// `From`.
    pub sender: &'a str,
    /// `To`.
    pub recipient: &'a str,
}

impl<'a> Subject<'a> {
    /// Returns a message from [`SENDER`] to [`RECIPIENT`].
    #[must_use]
    pub const fn new(sid: &'a str) -> Self {
        Self {
            sid,
            sender: SENDER,
            recipient: RECIPIENT,
        }
    }
}

/// Returns the fields that a report needs to be accepted.
#[must_use]
pub const fn required_fields<'a>(sid: &'a str, status: &'a str) -> [(&'static str, &'a str); 4] {
    [
        ("MessageSid", sid),
        ("MessageStatus", status),
        ("To", RECIPIENT),
        ("From", "whatsapp:+15550109999"),
    ]
}

/// Encodes fields as `application/x-www-form-urlencoded`.
#[must_use]
#[expect(clippy::missing_panics_doc, reason = "it does not panic")]
pub fn encode(fields: &[(&str, &str)]) -> String {
    serde_urlencoded::to_string(fields).expect("pairs of texts can always be encoded")
}

/// Returns the whole body of a report on `subject`.
#[must_use]
pub fn body(subject: Subject<'_>, step: Step) -> String {
    let Subject {
        sid,
        sender,
        recipient,
    } = subject;
    let masked = masked(recipient);
    let mut fields = vec![
        ("ChannelPrefix", "whatsapp"),
        ("ApiVersion", "2010-04-01"),
        ("MessageStatus", step.status),
        ("SmsSid", sid),
        ("SmsStatus", step.status),
        ("ChannelInstallSid", INSTALLATION),
        ("To", recipient),
        ("From", sender),
        ("MessageSid", sid),
        ("AccountSid", ACCOUNT),
        ("ChannelToAddress", &masked),
    ];
    let event = match step.status {
        "delivered" => Some("DELIVERED"),
        "read" => Some("READ"),
        "undelivered" => Some("UNDELIVERED"),
        _ => None,
    };
    fields.extend(event.map(|event| ("EventType", event)));
    if let Some(error) = step.error {
        fields.push(("ErrorCode", error.code));
        if !error.text.is_empty() {
            fields.push(("ErrorMessage", error.text));
        }
    }
    if sid.starts_with("MM") {
        fields.push(("MessagingServiceSid", MESSAGING_SERVICE));
    }
    if let Some(user) = recipient.strip_prefix("whatsapp:US.") {
        fields.push(("ExternalUserId", user));
    }
    encode(&fields)
}

/// Returns the recipient as `ChannelToAddress` shows it.
fn masked(recipient: &str) -> String {
    let name = recipient.strip_prefix("whatsapp:").unwrap_or(recipient);
    let shown = name.len().saturating_sub(4);
    format!("{}XXXX", name.get(..shown).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{failure, step};

    #[test]
    fn failure_has_the_fields_that_twilio_sends() {
        let subject = Subject::new("SM0123456789abcdef0123456789abcdef");
        let body = body(
            subject,
            failure("undelivered", "63016", "Outside the window"),
        );
        for field in [
            "MessageSid=SM0123456789abcdef0123456789abcdef",
            "To=whatsapp%3A%2B15550100001",
            "ChannelToAddress=%2B1555010XXXX",
            "EventType=UNDELIVERED",
            "ErrorCode=63016",
            "ErrorMessage=Outside+the+window",
        ] {
            assert!(
                body.split('&').any(|each| each == field),
                "{field} in {body}"
            );
        }
    }

    #[test]
    fn media_messages_and_business_scoped_users_have_fields_of_their_own() {
        let subject = Subject {
            sid: "MM1",
            sender: SENDER,
            recipient: "whatsapp:US.134912345678901234",
        };
        let body = body(subject, step("sent"));
        assert!(body.contains("&MessagingServiceSid=MG"), "{body}");
        assert!(
            body.ends_with("&ExternalUserId=134912345678901234"),
            "{body}"
        );
        assert!(!body.contains("Error"), "{body}");
    }
}
