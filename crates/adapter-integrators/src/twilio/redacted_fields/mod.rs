//! Redacting the fields of a rejected report: names are kept, values only if they cannot be
//! personal data.

use domain::Address;
use domain::rejection::MaskedFields;

use super::form;

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
    let length = || match value.len() {
        0 => String::new(),
        1 => "*** (1 byte)".to_owned(),
        bytes => format!("*** ({bytes} bytes)"),
    };
    let Ok(text) = std::str::from_utf8(value) else {
        return length();
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
        b"To" | b"From" => {
            let address = Address::parse(text);
            return address.map_or_else(|_| length(), |address| address.to_string());
        }
        _ => false,
    };
    if harmless { text.to_owned() } else { length() }
}

/// Keeps a name only if it looks like one: in a body that is not a form, arbitrary content would
/// be parsed as a name.
fn masked_name(name: &[u8]) -> String {
    let is_name = name.len() <= 40
        && name.first().is_some_and(u8::is_ascii_alphabetic)
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
        && name.iter().filter(|byte| byte.is_ascii_digit()).count() <= 3;
    if is_name {
        String::from_utf8_lossy(name).into_owned()
    } else {
        "***".to_owned()
    }
}

/// Whether a text is two capital letters and 32 hex digits.
fn is_sid(text: &str) -> bool {
    let (kind, digits) = text.as_bytes().split_at_checked(2).unwrap_or_default();
    digits.len() == 32
        && kind.iter().all(u8::is_ascii_uppercase)
        && digits.iter().all(u8::is_ascii_hexdigit)
}

fn is_word(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
}

#[cfg(test)]
mod tests;
