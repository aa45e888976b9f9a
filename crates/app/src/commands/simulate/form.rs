//! A report as Twilio writes it: far more fields than anybody needs.

use super::histories::Step;
use super::plan::{PlannedMessage, PlannedReport};

const ACCOUNT: &str = "AC00000000000000000000000000005e1f";
const INSTALLATION: &str = "XE00000000000000000000000000005e1f";
const MESSAGING_SERVICE: &str = "MG00000000000000000000000000005e1f";

/// The body of a report.
pub fn body(
    message: &PlannedMessage,
    report: &PlannedReport,
) -> Result<String, serde_urlencoded::ser::Error> {
    let Step { word, error } = report.step;
    let masked = masked(&message.recipient);
    let mut fields = vec![
        ("ChannelPrefix", "whatsapp"),
        ("ApiVersion", "2010-04-01"),
        ("MessageStatus", word),
        ("SmsSid", &message.sid),
        ("SmsStatus", word),
        ("ChannelInstallSid", INSTALLATION),
        ("To", &message.recipient),
        ("From", message.sender),
        ("MessageSid", &message.sid),
        ("AccountSid", ACCOUNT),
        ("ChannelToAddress", &masked),
    ];
    let event = match word {
        "delivered" => Some("DELIVERED"),
        "read" => Some("READ"),
        "undelivered" => Some("UNDELIVERED"),
        _ => None,
    };
    fields.extend(event.map(|event| ("EventType", event)));
    if let Some(error) = error {
        fields.push(("ErrorCode", error.code));
        if !error.text.is_empty() {
            fields.push(("ErrorMessage", error.text));
        }
    }
    if message.sid.starts_with("MM") {
        fields.push(("MessagingServiceSid", MESSAGING_SERVICE));
    }
    if let Some(user) = message.recipient.strip_prefix("whatsapp:US.") {
        fields.push(("ExternalUserId", user));
    }
    serde_urlencoded::to_string(&fields)
}

/// The recipient as `ChannelToAddress` shows it.
fn masked(recipient: &str) -> String {
    let name = recipient.strip_prefix("whatsapp:").unwrap_or(recipient);
    let shown = name.len().saturating_sub(4);
    format!("{}XXXX", name.get(..shown).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::histories::Failure;
    use super::*;

    #[test]
    fn a_failure_is_told_as_twilio_tells_it() {
        let message = PlannedMessage {
            sid: "SM0123456789abcdef0123456789abcdef".to_owned(),
            sender: "whatsapp:+15550109001",
            recipient: "whatsapp:+15550100001".to_owned(),
        };
        let error = Some(Failure {
            code: "63016",
            text: "Outside the window",
        });
        let step = Step {
            word: "undelivered",
            error,
        };
        let body = body(
            &message,
            &PlannedReport {
                message: 0,
                step,
                token: Uuid::nil(),
            },
        )
        .unwrap();
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
}
