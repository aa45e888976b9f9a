//! Hides phone numbers and user ids inside texts that come from outside.

use crate::address::SEPARATORS;

/// Fewer digits than these are a code or a count, not a phone number.
const MIN_DIGITS: usize = 7;

/// More separators than these in a row end a number: `+1 (555) 010-0001` has two.
const MAX_SEPARATORS: usize = 3;

/// Returns `text` with every phone number and WhatsApp user id in it masked like an
/// [`Address`](crate::Address): `'To' number +***0001 is not valid`. A number is a run of at
/// least seven digits, whatever people put between them. Twilio's ids, two capitals and 32 hex
/// digits, UUIDs and times such as `2026-11-27T19:00:00Z` stay.
#[must_use]
pub fn mask_numbers(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    let mut word_begins = true;
    while let Some(character) = rest.chars().next() {
        let taken = if word_begins && let Some(length) = plain_id(rest) {
            masked.push_str(rest.get(..length).unwrap_or_default());
            length
        } else if word_begins && let Some(length) = user_id(rest) {
            push_mask(&mut masked, rest.get(..length).unwrap_or_default());
            length
        } else if character.is_numeric() {
            let number = number(rest);
            if number.chars().filter(|it| it.is_numeric()).count() < MIN_DIGITS {
                masked.push_str(number);
            } else {
                push_mask(&mut masked, number);
            }
            number.len()
        } else {
            masked.push(character);
            character.len_utf8()
        };
        let (done, next) = rest.split_at(taken);
        word_begins = !done.ends_with(char::is_alphanumeric);
        rest = next;
    }
    masked
}

/// Pushes the stars, and the last four letters and digits if there are at least eight.
fn push_mask(masked: &mut String, hidden: &str) {
    let name: Vec<char> = hidden.chars().filter(|it| it.is_alphanumeric()).collect();
    masked.push_str("***");
    if name.len() >= 8 {
        masked.extend(name.iter().skip(name.len() - 4));
    }
}

/// Returns the digits and separators at the beginning of a text.
fn number(text: &str) -> &str {
    let (mut end, mut separators) = (0, 0);
    for (at, character) in text.char_indices() {
        if character.is_numeric() {
            (end, separators) = (at + character.len_utf8(), 0);
        } else if SEPARATORS.contains(character) && separators < MAX_SEPARATORS {
            separators += 1;
        } else {
            break;
        }
    }
    text.get(..end).unwrap_or_default()
}

/// Returns the length of an id or a time at the beginning of a text, which is no number.
fn plain_id(text: &str) -> Option<usize> {
    twilio_id(text)
        .or_else(|| uuid(text))
        .or_else(|| time(text))
}

/// Returns whether a text has the form of a pattern, in which `x` is a hex digit and `0` a digit.
fn has_form(text: &str, pattern: &str) -> bool {
    let fits = |(byte, form): (u8, u8)| match form {
        b'x' => byte.is_ascii_hexdigit(),
        b'0' => byte.is_ascii_digit(),
        form => byte == form,
    };
    text.len() == pattern.len() && text.bytes().zip(pattern.bytes()).all(fits)
}

/// Returns the length of a UUID at the beginning of a text.
fn uuid(text: &str) -> Option<usize> {
    const FORM: &str = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    let is_uuid = has_form(text.get(..FORM.len())?, FORM)
        && !text.get(FORM.len()..)?.starts_with(char::is_alphanumeric);
    is_uuid.then_some(FORM.len())
}

/// Returns the length of a time at the beginning of a text: with minutes, and perhaps seconds,
/// their fraction and `Z`.
fn time(text: &str) -> Option<usize> {
    const FORMS: [&str; 4] = [
        "0000-00-00T00:00:00.000000Z",
        "0000-00-00T00:00:00Z",
        "0000-00-00T00:00:00",
        "0000-00-00T00:00",
    ];
    FORMS
        .into_iter()
        .map(str::len)
        .zip(FORMS)
        .find_map(|(length, form)| {
            let is_time = has_form(text.get(..length)?, form)
                && !text
                    .get(length..)?
                    .starts_with(|it: char| it.is_alphanumeric() || it == ':');
            is_time.then_some(length)
        })
}

/// Returns the length of a Twilio id at the beginning of a text.
fn twilio_id(text: &str) -> Option<usize> {
    let (kind, digits) = text.get(..34)?.split_at_checked(2)?;
    let is_id = kind.bytes().all(|byte| byte.is_ascii_uppercase())
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        && !text.get(34..)?.starts_with(char::is_alphanumeric);
    is_id.then_some(34)
}

/// Returns the length of a user id at the beginning of a text: a country code, a dot and at least
/// eight letters and digits.
fn user_id(text: &str) -> Option<usize> {
    let (country, rest) = text.get(..3)?.split_at_checked(2)?;
    let id = text.get(3..)?;
    let end = id.find(|it: char| !it.is_ascii_alphanumeric());
    let length = end.unwrap_or(id.len());
    let is_id = country.bytes().all(|byte| byte.is_ascii_uppercase()) && rest == "." && length >= 8;
    is_id.then_some(3 + length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(
        "'To' number +15550100001 is not valid",
        "'To' number +***0001 is not valid"
    )]
    #[case("'To' number whatsapp:+15550100001.", "'To' number whatsapp:+***0001.")]
    #[case("call +1 (555) 010-0001, please", "call +***0001, please")]
    #[case("a15550100001b", "a***0001b")]
    #[case("00 49 171/555.01.00", "***0100")]
    #[case("5550100", "***")]
    #[case("\u{661}\u{665}\u{665}\u{665}\u{660}\u{661}\u{660}", "***")]
    #[case("whatsapp:US.13491208655302741918", "whatsapp:***1918")]
    #[case("US.1349aBcDeFgH is gone", "***eFgH is gone")]
    #[case("%2B15550100001", "%2B***0001")]
    #[case("15550100001 15550100002", "***0002")]
    #[case("2026-11-27T19:00:15550100001", "***1127T19:00:***0001")]
    #[case("15550100-0001-0000-0000-0000000000010", "***0010")]
    fn numbers_and_user_ids_are_masked(#[case] text: &str, #[case] masked: &str) {
        assert_eq!(mask_numbers(text), masked);
    }

    #[rstest]
    #[case("")]
    #[case("error 63016: outside of the 24 hour window")]
    #[case("codes 63016, 63024, 30008")]
    #[case("SM0123456789abcdef0123456789abcdef failed")]
    #[case("see https://www.twilio.com/docs/errors/63016")]
    #[case("credential 01a2b3c2-7589-7000-8123-456789012345 removed")]
    #[case("since=2026-11-27T19:00:00.000000Z; until=2026-11-27T20:00")]
    #[case("123456")]
    #[case("näïve 👍")]
    fn other_texts_stay(#[case] text: &str) {
        assert_eq!(mask_numbers(text), text);
    }

    proptest! {
        #[test]
        fn no_number_is_left_unmasked(text in "[ A-Fa-z0-9+().:/-]{0,80}") {
            let masked = mask_numbers(&text);
            let digits = masked.split(|it: char| !it.is_ascii_digit() && !SEPARATORS.contains(it));
            for run in digits {
                let count = run.bytes().filter(u8::is_ascii_digit).count();
                let spread = run.split(|it: char| it.is_ascii_digit()).any(|it| it.len() > 3);
                prop_assert!(count < MIN_DIGITS || spread, "{run} in {masked}");
            }
        }
    }
}
