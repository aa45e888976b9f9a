//! Reports that the integrator says it could not deliver.

use crate::Timestamp;
use crate::reconciliation::CallbackAlertCount;
use crate::trouble::Finding;

/// The time in which alerts are counted: 10 minutes.
pub const CALLBACK_WINDOW_MICROS: i64 = 10 * 60 * 1_000_000;

/// How many messages must have an alert: a callback that fails now and then is looked up, and needs
/// no operator.
const MIN_ALERTED: u64 = 3;

/// Finds a channel of which the integrator says that it could not deliver reports of several
/// messages. `counts` are the alerts of the last [`CALLBACK_WINDOW_MICROS`], the most frequent code
/// first.
#[must_use]
pub fn callbacks_failing(counts: &[CallbackAlertCount]) -> Option<Finding> {
    let messages: u64 = counts.iter().map(|it| it.messages).sum();
    let first_at = counts.iter().map(|it| it.first_at).min();
    let newest = counts.iter().max_by_key(|it| it.newest_at);
    let (frequent, newest) = counts.first().zip(newest)?;
    if messages < MIN_ALERTED {
        return None;
    }
    let code = frequent.code.as_str();
    let code = match code_meaning(code) {
        Some(meaning) => format!("error {code} ({meaning})"),
        None => format!("error {code}"),
    };
    let with = if counts.len() == 1 {
        "with"
    } else {
        "most with"
    };
    let seen = format!(
        "The integrator could not deliver reports of {messages} messages in 10 minutes, {with} \
         {code}. The newest is {}.",
        newest.newest
    );
    let since = first_at.unwrap_or(Timestamp::EPOCH);
    Some(Finding { since, seen })
}

/// Returns what an error code of Twilio's Debugger says about a callback; `None` for another code.
/// The explanations of [`crate::error_code`] are about messages: there 11200 is about their media.
const fn code_meaning(code: &str) -> Option<&'static str> {
    Some(match code.as_bytes() {
        b"11200" => "no answer with a status of 2xx, for a cause that is not known",
        b"11201" => "the connection timed out",
        b"11202" => "the connection was refused",
        b"11203" => "the answer came too late",
        b"11205" => "the connection failed",
        b"11206" | b"11251" => "the answer violates the HTTP protocol",
        b"11210" => "the host name of the callback URL cannot be resolved",
        b"11215" => "too many redirects",
        b"11216" => "a redirect to an invalid URL",
        b"11217" => "the answer had an error status",
        b"11220" => "the TLS handshake failed",
        b"11235" => "the certificate is for another host name",
        b"11236" => "the certificate has expired",
        b"11237" => "the certificate chain is incomplete",
        b"11240" | b"11241" => "the edge location in the callback URL is not valid",
        b"11243" => "the retry policy in the callback URL is not valid",
        b"57012" => "the receiver found the signature invalid",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorCode, MessageSid};

    fn count(code: &str, messages: u64, first: i64, newest: i64) -> CallbackAlertCount {
        CallbackAlertCount {
            code: ErrorCode::parse(code).unwrap(),
            messages,
            first_at: Timestamp::from_unix_micros(first).unwrap(),
            newest: MessageSid::parse(&format!("SM{newest}")).unwrap(),
            newest_at: Timestamp::from_unix_micros(newest).unwrap(),
        }
    }

    #[test]
    fn few_failed_callbacks_are_no_trouble() {
        assert_eq!(callbacks_failing(&[]), None);
        let few = [count("11200", 1, 1, 1), count("11205", 1, 2, 2)];
        assert_eq!(callbacks_failing(&few), None);
    }

    #[test]
    fn failed_callbacks_are_found_with_the_most_frequent_code_and_the_newest_message() {
        let finding = callbacks_failing(&[count("11237", 3, 5, 9)]).unwrap();
        assert_eq!(finding.since.unix_micros(), 5);
        let seen = "The integrator could not deliver reports of 3 messages in 10 minutes, with \
                    error 11237 (the certificate chain is incomplete). The newest is SM9.";
        assert_eq!(finding.seen, seen);
        let several = [count("99999", 12, 6, 7), count("11200", 1, 4, 8)];
        let finding = callbacks_failing(&several).unwrap();
        assert_eq!(finding.since.unix_micros(), 4);
        let seen = "The integrator could not deliver reports of 13 messages in 10 minutes, most \
                    with error 99999. The newest is SM8.";
        assert_eq!(finding.seen, seen);
    }
}
