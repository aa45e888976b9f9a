//! Redacting the fields of a rejected report: names are kept, values only if they cannot be
//! personal data.

use domain::rejection::MaskedFields;

use super::form;
use crate::redaction::{is_word, length, masked_address, masked_name};

/// Returns the fields of a body with all personal data masked. A value is kept if its field holds
/// an id or a word of Twilio's *and* the value looks like one: a phone number in the wrong field
/// is still a phone number. Addresses are masked; other values are replaced by their length.
#[must_use]
pub fn masked(body: &[u8]) -> MaskedFields {
    MaskedFields::new(
        form::fields(body).map(|(name, value)| (masked_name(&name), masked_value(&name, &value))),
    )
}

fn masked_value(name: &[u8], value: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(value) else {
        return length(value);
    };
    let harmless = match name {
        b"MessageSid"
        | b"SmsSid"
        | b"SmsMessageSid"
        | b"AccountSid"
        | b"MessagingServiceSid"
        | b"ChannelInstallSid" => is_sid(text),
        b"MessageStatus" | b"SmsStatus" | b"EventType" | b"ChannelPrefix"
        | b"StructuredMessage" => is_word(text),
        b"ErrorCode" => text.len() <= 6 && text.bytes().all(|byte| byte.is_ascii_digit()),
        b"ApiVersion" => text == "2010-04-01",
        b"To" | b"From" => return masked_address(text),
        _ => false,
    };
    if harmless {
        text.to_owned()
    } else {
        length(value)
    }
}

/// Returns whether a text is two capital letters and 32 hex digits.
fn is_sid(text: &str) -> bool {
    let (kind, digits) = text.as_bytes().split_at_checked(2).unwrap_or_default();
    digits.len() == 32
        && kind.iter().all(u8::is_ascii_uppercase)
        && digits.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests;
