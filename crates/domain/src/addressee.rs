//! One person, however integrators write their address.

use std::fmt;

use crate::Address;

/// The schemes under which one number may stand in reports; none is one too.
const SCHEMES: [&str; 4] = ["", "whatsapp", "rcs", "sms"];

/// A person to be found or forgotten: one number or user id, in all the ways in
/// which integrators write it. `Debug` and `Display` show a mask.
#[derive(Clone, PartialEq, Eq)]
pub struct Addressee {
    address: Address,
    name: Name,
}

/// What an address is without its scheme.
#[derive(Clone, PartialEq, Eq)]
enum Name {
    /// The digits of a number, the country's first.
    Number(String),
    /// An id that the network gives a person, like `US.13491208655302741918`.
    UserId(String),
    /// Anything else. It is found as a recipient only, letter by letter: as the
    /// value of some field it may mean something else.
    Other,
}

/// The text names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a recipient is a number with its country code, like +15550100001, or the address that stands \
     in reports, like whatsapp:US.1349…"
)]
pub struct InvalidAddressee;

impl Addressee {
    /// Takes a number of 5 to 15 digits, with or without a plus, a scheme, and
    /// what people put between digits; or any address that is not one.
    pub fn parse(text: &str) -> Result<Self, InvalidAddressee> {
        let text = text.trim();
        let (scheme, name) = text
            .split_once(':')
            .map_or((None, text), |(scheme, name)| (Some(scheme), name));
        if !name.contains(char::is_alphanumeric) {
            return Err(InvalidAddressee);
        }
        let (address, name) = if let Some(digits) = digits(name) {
            if !(5..=15).contains(&digits.len()) || digits.starts_with('0') {
                return Err(InvalidAddressee);
            }
            let scheme = scheme.map(|scheme| format!("{scheme}:"));
            let address = format!("{}+{digits}", scheme.unwrap_or_default());
            (address, Name::Number(digits))
        } else if is_user_id(name) {
            (text.to_owned(), Name::UserId(name.to_owned()))
        } else {
            (text.to_owned(), Name::Other)
        };
        let address = Address::parse(&address).map_err(|_| InvalidAddressee)?;
        if address.is_erased() {
            return Err(InvalidAddressee);
        }
        Ok(Self { address, name })
    }

    /// The address in one way of writing it, which [`Addressee::parse`] takes.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// All ways in which it may stand in reports as their recipient.
    #[must_use]
    pub fn forms(&self) -> Vec<String> {
        let names = match &self.name {
            Name::Number(digits) => vec![format!("+{digits}"), digits.clone()],
            Name::UserId(id) => vec![id.clone()],
            Name::Other => return vec![self.address.reveal().to_owned()],
        };
        let own = self.address.reveal().split_once(':');
        let own = own.map(|(scheme, _)| scheme);
        let others = own.filter(|scheme| !SCHEMES.contains(scheme));
        let schemes = SCHEMES.into_iter().chain(others);
        let written = |scheme: &str, name: &String| {
            if scheme.is_empty() {
                name.clone()
            } else {
                format!("{scheme}:{name}")
            }
        };
        schemes
            .flat_map(|scheme| names.iter().map(move |name| written(scheme, name)))
            .collect()
    }

    /// The values of fields that name the person, as JSON strings.
    #[must_use]
    pub fn field_values(&self) -> Vec<String> {
        match self.name {
            Name::Number(_) | Name::UserId(_) => self
                .forms()
                .into_iter()
                .map(|form| serde_json::Value::from(form).to_string())
                .collect(),
            Name::Other => Vec::new(),
        }
    }

    /// Whether a text tells who is meant.
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

/// The digits of a number, without what people put between them.
fn digits(name: &str) -> Option<String> {
    let number = name.trim();
    let number = number.strip_prefix('+').unwrap_or(number);
    let digits: String = number
        .chars()
        .filter(|character| !" -()./\u{a0}".contains(*character))
        .collect();
    let all = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all.then_some(digits)
}

/// A country, a point and a long number.
fn is_user_id(name: &str) -> bool {
    name.split_once('.').is_some_and(|(country, rest)| {
        country.len() == 2
            && country.bytes().all(|byte| byte.is_ascii_uppercase())
            && rest.len() >= 8
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// The mask of its address.
impl fmt::Display for Addressee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.address, f)
    }
}

impl fmt::Debug for Addressee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Addressee({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn addressee(text: &str) -> Addressee {
        Addressee::parse(text).unwrap()
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
        let given = addressee(given);
        assert_eq!(given.address().reveal(), address);
        assert_eq!(addressee(address), given);
        let forms = given.forms();
        for form in [
            "+15550100001",
            "15550100001",
            "whatsapp:+15550100001",
            "whatsapp:15550100001",
            "rcs:+15550100001",
            address,
        ] {
            assert!(forms.iter().any(|it| it == form), "{form}");
        }
        assert!(given.field_values().contains(&"\"15550100001\"".to_owned()));
        assert!(given.is_named_in("asked by +1 555-010-0001, by phone"));
        assert!(!given.is_named_in("ticket 4711 of 2026-11-23"));
        let shown = format!("{given} {given:?}");
        assert!(!shown.contains("5550100001"), "{shown}");
    }

    #[test]
    fn a_user_id_is_found_with_and_without_its_scheme() {
        let id = addressee("whatsapp:US.1349802745130002");
        assert_eq!(id.forms(), addressee("US.1349802745130002").forms());
        assert!(id.forms().contains(&"US.1349802745130002".to_owned()));
        assert!(
            id.field_values()
                .contains(&"\"US.1349802745130002\"".to_owned())
        );
        assert!(id.is_named_in("it is US.1349802745130002"));
    }

    #[test]
    fn what_may_be_the_value_of_any_field_is_a_recipient_only() {
        for text in ["delivered", "rcs:brand_agent", "whatsapp:US.1"] {
            assert_eq!(addressee(text).forms(), [text]);
            assert_eq!(addressee(text).field_values(), [""; 0]);
        }
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
    fn what_names_nobody_is_refused(#[case] text: &str) {
        assert_eq!(Addressee::parse(text), Err(InvalidAddressee));
    }
}
