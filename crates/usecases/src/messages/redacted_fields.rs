//! Masks the additional fields of a report, those without a column of their own.

use domain::{ReportFields, mask_numbers};

/// Fields that contain ids and words of the integrator and no personal data. The values of all
/// other fields are shown only if they are revealed.
const TECHNICAL: [&str; 11] = [
    "AccountSid",
    "ApiVersion",
    "ChannelInstallSid",
    "ChannelPrefix",
    "EventType",
    "MessagingServiceSid",
    "RawDlrDoneDate",
    "SmsMessageSid",
    "SmsSid",
    "SmsStatus",
    "StructuredMessage",
];

/// Shown instead of a masked value.
const MASK: &str = "***";

/// Returns names and values in the order they were sent, a repeated name once for each value.
/// Unless revealed, only technical values are shown, and phone numbers are masked everywhere.
#[must_use]
pub fn shown_fields(fields: &ReportFields, reveal: bool) -> Vec<(String, String)> {
    let pairs = fields.to_pairs();
    if reveal {
        return pairs;
    }
    let masked = pairs
        .into_iter()
        .map(|(name, value)| (mask_numbers(&name), masked_value(&name, &value)));
    masked.collect()
}

/// Masks a value. In technical fields only phone numbers are masked; a date is not one.
fn masked_value(name: &str, value: &str) -> String {
    match name {
        "ApiVersion" | "RawDlrDoneDate" if value.len() == 10 => value.to_owned(),
        _ if TECHNICAL.contains(&name) => mask_numbers(value),
        _ => MASK.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phone_numbers_in_technical_fields_and_names_are_masked() {
        let pairs = [
            ("AccountSid", "AC0123456789abcdef0123456789abcdef"),
            ("RawDlrDoneDate", "2611271342"),
            ("SmsStatus", "to +15550100001"),
            ("15550100001", "x"),
        ];
        let masked = [
            ("AccountSid", "AC0123456789abcdef0123456789abcdef"),
            ("RawDlrDoneDate", "2611271342"),
            ("SmsStatus", "to +***0001"),
            ("***0001", "***"),
        ];
        let owned = masked.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(shown_fields(&ReportFields::new(&pairs), false), owned);
    }

    #[test]
    fn only_technical_values_are_shown_unless_revealed() {
        let fields = ReportFields::new(&[("Body", "hello"), ("ApiVersion", "2010-04-01")]);
        let values = |reveal| -> Vec<String> {
            let shown = shown_fields(&fields, reveal).into_iter();
            shown.map(|(_, value)| value).collect()
        };
        assert_eq!(values(false), ["***", "2010-04-01"]);
        assert_eq!(values(true), ["hello", "2010-04-01"]);
    }
}
