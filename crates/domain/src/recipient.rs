//! Recipients, independent of how integrators write their address.

use std::fmt;

use crate::address::{self, SEPARATORS};
use crate::{Address, ReportFields};

/// A recipient to search for or to erase: one number or user id, in all the forms that integrators
/// use. `Debug` and `Display` show a mask.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient {
    address: Address,
    name: Name,
}

/// An address without its scheme.
#[derive(Clone, PartialEq, Eq)]
enum Name {
    /// The digits of a number, beginning with the country code.
    Number(String),
    /// A WhatsApp user id, like `US.13491208655302741918`.
    UserId(String),
    /// Anything else. It matches only a recipient with the same scheme, since the value of another
    /// field may mean something else.
    Other,
}

/// The text is not a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a recipient is a number with its country code, like +15550100001, or the address that stands \
     in reports, like whatsapp:US.1349…"
)]
pub struct InvalidRecipient;

impl Recipient {
    /// Parses a number of 5 to 15 digits, with or without a plus, a scheme and separators; or any
    /// other address.
    pub fn parse(text: &str) -> Result<Self, InvalidRecipient> {
        let (scheme, name) = address::split(text.trim());
        if !name.contains(char::is_alphanumeric) {
            return Err(InvalidRecipient);
        }
        let scheme = scheme.map(|scheme| format!("{}:", scheme.to_ascii_lowercase()));
        let scheme = scheme.unwrap_or_default();
        let (address, name) = if address::is_number(name) {
            let digits: String = address::digits(name).collect();
            if !(5..=15).contains(&digits.len()) || digits.starts_with('0') {
                return Err(InvalidRecipient);
            }
            (format!("{scheme}+{digits}"), Name::Number(digits))
        } else if is_user_id(name) {
            (format!("{scheme}{name}"), Name::UserId(name.to_owned()))
        } else {
            (format!("{scheme}{name}"), Name::Other)
        };
        let address = Address::parse(&address).map_err(|_| InvalidRecipient)?;
        if address.is_erased() {
            return Err(InvalidRecipient);
        }
        Ok(Self { address, name })
    }

    /// Returns the address in canonical form, which [`Recipient::parse`] accepts: the scheme in
    /// lower case, no blanks around its parts, and a number as a plus and its digits.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// Returns the name without separators, if that alone identifies the recipient, whatever the
    /// scheme; otherwise `None`, and [`Recipient::exactly`] has a value.
    #[must_use]
    pub fn key(&self) -> Option<String> {
        match &self.name {
            Name::Number(digits) => Some(digits.clone()),
            Name::UserId(id) => Some(without_separators(id)),
            Name::Other => None,
        }
    }

    /// Returns the canonical form to compare; `None` if [`Recipient::key`] has a value.
    #[must_use]
    pub fn exactly(&self) -> Option<&str> {
        match self.name {
            Name::Number(_) | Name::UserId(_) => None,
            Name::Other => Some(self.address.reveal()),
        }
    }

    /// Returns whether an address in any form is this recipient.
    #[must_use]
    pub fn is(&self, recipient: &str) -> bool {
        let (scheme, name) = address::split(recipient);
        if let Some(key) = self.key() {
            return without_separators(name) == key;
        }
        let (own_scheme, own) = address::split(self.address.reveal());
        let lower = |scheme: Option<&str>| scheme.map(str::to_ascii_lowercase);
        lower(own_scheme) == lower(scheme) && own == name
    }

    /// Returns whether a field in the JSON of [`ReportFields`] contains this recipient.
    #[must_use]
    pub fn is_in(&self, fields: &str) -> bool {
        // Few texts contain the digits at all; only those are parsed.
        let may_be = self
            .key()
            .is_some_and(|key| without_separators(fields).contains(&key));
        may_be
            && ReportFields::from_json(fields).is_ok_and(|fields| {
                let pairs = fields.to_pairs();
                pairs.iter().any(|(_, value)| self.is(value))
            })
    }

    /// Returns whether a text contains this recipient.
    #[must_use]
    pub fn is_named_in(&self, text: &str) -> bool {
        match &self.name {
            Name::Number(number) => {
                let digits: String = text.chars().filter(char::is_ascii_digit).collect();
                digits.contains(number.as_str())
            }
            Name::UserId(id) => text.contains(id.as_str()),
            Name::Other => text.contains(self.address.reveal()),
        }
    }
}

fn without_separators(text: &str) -> String {
    let kept = text.chars().filter(|it| !SEPARATORS.contains(*it));
    kept.collect()
}

/// Returns whether a text is a country code, a dot and a long number.
pub(crate) fn is_user_id(name: &str) -> bool {
    name.split_once('.').is_some_and(|(country, rest)| {
        country.len() == 2
            && country.bytes().all(|byte| byte.is_ascii_uppercase())
            && rest.len() >= 8
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// Shows the mask of its address.
impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.address, f)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn recipient(text: &str) -> Recipient {
        Recipient::parse(text).unwrap()
    }

    #[rstest]
    #[case("+15550100001", "+15550100001")]
    #[case("15550100001", "+15550100001")]
    #[case(" whatsapp:+15550100001 ", "whatsapp:+15550100001")]
    #[case("whatsapp:15550100001", "whatsapp:+15550100001")]
    #[case("+1 (555) 010-0001", "+15550100001")]
    // From a query in which the plus was not escaped.
    #[case("whatsapp: 15550100001", "whatsapp:+15550100001")]
    #[case("viber:+15550100001", "viber:+15550100001")]
    fn a_number_is_found_however_it_is_written(#[case] given: &str, #[case] address: &str) {
        let given = recipient(given);
        assert_eq!(given.address().reveal(), address);
        assert_eq!(recipient(address), given);
        for form in [
            "+15550100001",
            "15550100001",
            "whatsapp:+15550100001",
            "WhatsApp:+15550100001",
            " whatsapp:+15550100001 ",
            "whatsapp: 15550100001",
            "WHATSAPP : +1 (555) 010-0001\u{a0}",
            "rcs:+15550100001",
            "viber:1-555-010-0001",
            address,
        ] {
            assert!(given.is(form), "{form}");
            assert!(given.is_in(ReportFields::new(&[("a", "b"), ("WaId", form)]).as_json()));
        }
        for other in [
            "+155501000011",
            "+1555010000",
            "x15550100001",
            "call 15550100001",
        ] {
            assert!(!given.is(other), "{other}");
            assert!(!given.is_in(ReportFields::new(&[("Body", other)]).as_json()));
        }
        assert!(given.is_named_in("asked by +1 555-010-0001, by phone"));
        assert!(!given.is_named_in("ticket 4711 of 2026-11-23"));
        let shown = format!("{given} {given:?}");
        assert!(!shown.contains("5550100001"), "{shown}");
    }

    #[test]
    fn a_user_id_is_found_with_and_without_its_scheme() {
        let id = recipient("whatsapp:US.1349802745130002");
        for form in ["US.1349802745130002", "WhatsApp: US.1349802745130002 "] {
            assert!(id.is(form), "{form}");
            assert!(id.is_in(ReportFields::new(&[("UserId", form)]).as_json()));
        }
        assert!(!id.is("whatsapp:us.1349802745130002"));
        assert!(id.is_named_in("it is US.1349802745130002"));
    }

    #[test]
    fn a_common_word_matches_as_recipient_but_not_in_fields() {
        for text in ["delivered", "rcs:brand_agent", "whatsapp:US.1"] {
            assert!(recipient(text).is(text), "{text}");
            assert!(!recipient(text).is_in(ReportFields::new(&[("a", text)]).as_json()));
        }
        assert!(recipient("rcs:brand_agent").is("RCS: brand_agent "));
        assert!(!recipient("rcs:brand_agent").is("brand-agent"));
        assert!(!recipient("rcs:brand_agent").is("sms:brand_agent"));
    }

    #[rstest]
    #[case("")]
    #[case("+")]
    #[case("whatsapp:")]
    #[case("1234")]
    #[case("0171 5550100")]
    #[case("+1555010000155501")]
    #[case("erased")]
    #[case("a\nb")]
    fn invalid_recipients_are_refused(#[case] text: &str) {
        assert_eq!(Recipient::parse(text), Err(InvalidRecipient));
    }
}
