//! Addresses of recipients and senders.

use std::fmt;
use std::sync::Arc;

/// The address of a recipient or sender as the integrator writes it:
/// `whatsapp:+15550100001`, `whatsapp:US.1349…`, `rcs:…` or a bare number.
///
/// It is personal data, so `Debug` and `Display` show a mask; [`Address::reveal`] returns the
/// address itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Arc<str>);

/// The text is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an address is 1 to 256 characters without control characters, like whatsapp:+15550100001")]
pub struct InvalidAddress;

/// No report can have this sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a sender is one number with its country code, like whatsapp:+15550100001, or an agent like \
     rcs:brand_agent; the schemes are whatsapp:, rcs: and sms:"
)]
pub struct InvalidSender;

/// Characters that people write around and between the digits of a number. The SQL statements that
/// compare recipients list the same characters.
pub(crate) const SEPARATORS: &str = " +-()./\u{a0}";

/// The blanks of [`SEPARATORS`].
const BLANKS: [char; 2] = [' ', '\u{a0}'];

/// The scheme-less text of [`Address::erased`], which SQL statements search for.
pub const ERASED: &str = "erased";

/// The text of [`Address::unknown`].
const UNKNOWN: &str = "unknown";

impl Address {
    /// Parses an address, keeping its case and form.
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        if crate::text::is_plain_line(text, 256) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidAddress)
        }
    }

    /// Parses a sender as people write it and returns its canonical form: the scheme in lower case,
    /// and a number as a plus and its digits. Fails if no report can have this sender.
    pub fn parse_sender(text: &str) -> Result<Self, InvalidSender> {
        let (scheme, name) = split(text.trim());
        let scheme = scheme.map(str::to_ascii_lowercase);
        let is_name = match scheme.as_deref() {
            // A WhatsApp sender is a number; user ids occur only in reports of incoming messages.
            None | Some("whatsapp") => crate::recipient::is_user_id(name),
            Some("rcs" | "sms") => !name.contains([',', ';', ' ']),
            Some(_) => return Err(InvalidSender),
        };
        let name = if is_number(name) {
            let digits: String = digits(name).collect();
            if !(5..=15).contains(&digits.len()) || digits.starts_with('0') {
                return Err(InvalidSender);
            }
            format!("+{digits}")
        } else if is_name {
            name.to_owned()
        } else {
            return Err(InvalidSender);
        };
        if name.is_empty() {
            return Err(InvalidSender);
        }
        let address = scheme.map_or_else(|| name.clone(), |scheme| format!("{scheme}:{name}"));
        Self::parse(&address).map_err(|_| InvalidSender)
    }

    /// Returns what stands for the recipient of a report that names none.
    #[must_use]
    pub fn unknown() -> Self {
        Self(UNKNOWN.into())
    }

    /// Returns the replacement of an erased address. It is a valid address, so that earlier
    /// releases can read it.
    #[must_use]
    pub fn erased() -> Self {
        Self(ERASED.into())
    }

    /// Returns whether it was erased.
    #[must_use]
    pub fn is_erased(&self) -> bool {
        &*self.0 == ERASED
    }

    /// Returns whether both have the same canonical form, where either may lack its scheme. The
    /// case of the scheme, blanks around its parts, and separators in a number do not matter.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let (own_scheme, own) = split(&self.0);
        let (scheme, name) = split(&other.0);
        let same_scheme = own_scheme
            .zip(scheme)
            .is_none_or(|(own, other)| own.eq_ignore_ascii_case(other));
        let same_name = || match (is_number(own), is_number(name)) {
            (true, true) => digits(own).eq(digits(name)),
            (false, false) => own == name,
            (true, false) | (false, true) => false,
        };
        same_scheme && same_name()
    }

    /// Returns whether its scheme is that of `WhatsApp`, in any case.
    #[must_use]
    pub fn is_whatsapp(&self) -> bool {
        let (scheme, _) = split(&self.0);
        scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("whatsapp"))
    }

    fn parts(&self) -> (Option<&str>, &str) {
        match self.0.split_once(':') {
            Some((scheme, name)) => (Some(scheme), name),
            None => (None, &self.0),
        }
    }

    /// Returns the address itself. Never log it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Returns the scheme and the name of an address, without the blanks around either.
pub(crate) fn split(address: &str) -> (Option<&str>, &str) {
    match address.split_once(':') {
        Some((scheme, name)) => (Some(scheme.trim_matches(BLANKS)), name.trim_matches(BLANKS)),
        None => (None, address.trim_matches(BLANKS)),
    }
}

/// Returns whether a name consists of digits and separators.
pub(crate) fn is_number(name: &str) -> bool {
    let is_part = |it: char| it.is_ascii_digit() || SEPARATORS.contains(it);
    name.contains(|it: char| it.is_ascii_digit()) && name.chars().all(is_part)
}

/// Returns the digits of a number.
pub(crate) fn digits(number: &str) -> impl Iterator<Item = char> {
    number.chars().filter(char::is_ascii_digit)
}

/// The mask: the scheme and the last four characters, `whatsapp:+***0001`.
/// Names shorter than eight characters are hidden completely, and the number of stars does not
/// depend on the length. An erased address is shown as such.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_erased() || &*self.0 == UNKNOWN {
            return f.write_str(&self.0);
        }
        let (scheme, name) = self.parts();
        if let Some(scheme) = scheme {
            write!(f, "{scheme}:")?;
        }
        if name.starts_with('+') {
            f.write_str("+")?;
        }
        f.write_str("***")?;
        let tail = name.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
        if name.chars().nth(7).is_some() {
            f.write_str(name.get(tail..).unwrap_or_default())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("whatsapp:+15550100001", "whatsapp:+***0001")]
    #[case("+15550100001", "+***0001")]
    #[case("15550100001", "***0001")]
    #[case("whatsapp:US.13491208655302741918", "whatsapp:***1918")]
    #[case("rcs:brand_agent", "rcs:***gent")]
    #[case("whatsapp:+1234", "whatsapp:+***")]
    #[case("12345", "***")]
    #[case("ünïcödé-náme", "***náme")]
    #[case("erased", "erased")]
    fn display_and_debug_show_only_the_mask(#[case] address: &str, #[case] mask: &str) {
        let address = Address::parse(address).unwrap();
        assert_eq!(address.to_string(), mask);
        assert_eq!(format!("{address:?}"), format!("Address({mask})"));
    }

    #[rstest]
    #[case("whatsapp:+15550100001", "+15550100001", true)]
    #[case("whatsapp:+15550100001", "15550100001", true)]
    #[case("whatsapp:+15550100001", "whatsapp:15550100001", true)]
    #[case("whatsapp:+15550100001", "rcs:+15550100001", false)]
    #[case("whatsapp:+15550100001", "5550100001", false)]
    #[case("whatsapp:+15550100001", "WhatsApp:+15550100001", true)]
    #[case("whatsapp:+15550100001", " whatsapp : 15550100001\u{a0}", true)]
    #[case("whatsapp:+15550100001", "+1 (555) 010-0001", true)]
    #[case("whatsapp:+15550100001", "whatsapp:+155501000011", false)]
    #[case("whatsapp:US.1349", "WHATSAPP: US.1349", true)]
    #[case("whatsapp:US.1349", "whatsapp:us.1349", false)]
    #[case("a-b", "ab", false)]
    #[case("rcs:brand_agent", "brand_agent", true)]
    #[case("rcs:brand_agent", "Brand_agent", false)]
    fn addresses_are_compared_in_canonical_form(
        #[case] one: &str,
        #[case] other: &str,
        #[case] same: bool,
    ) {
        let [one, other] = [one, other].map(|text| Address::parse(text).unwrap());
        assert_eq!((one.is_like(&other), other.is_like(&one)), (same, same));
    }

    #[rstest]
    #[case("14155238886 ", "+14155238886")]
    #[case("whatsapp:+14155238886", "whatsapp:+14155238886")]
    #[case(" WhatsApp: 1 (415) 523-8886", "whatsapp:+14155238886")]
    #[case("whatsapp:US.13491208655302741918", "whatsapp:US.13491208655302741918")]
    #[case("rcs:brand_agent", "rcs:brand_agent")]
    fn a_sender_is_kept_in_canonical_form(#[case] text: &str, #[case] kept: &str) {
        let sender = Address::parse_sender(text).unwrap();
        assert_eq!(sender.reveal(), kept);
        assert!(sender.is_like(&Address::parse(text).unwrap()));
    }

    #[rstest]
    #[case("")]
    #[case("whatsapp:")]
    #[case("rcs:")]
    #[case("+")]
    #[case("+1415523888O")]
    #[case("whatsapp:brand_agent")]
    #[case("whatapp:+14155238886")]
    #[case("https://example.com")]
    #[case("014155238886")]
    #[case("whatsapp:0014155238886")]
    #[case("1234")]
    #[case("+14155238886141552")]
    #[case("whatsapp:+14155238886, whatsapp:+14155238887")]
    #[case("+14155238886;+14155238887")]
    #[case("rcs:one, rcs:two")]
    #[case("MG0123456789abcdef0123456789abcdef")]
    #[case("a\0")]
    fn invalid_senders_are_refused(#[case] text: &str) {
        assert_eq!(Address::parse_sender(text), Err(InvalidSender));
    }

    #[rstest]
    #[case("")]
    #[case("   ")]
    #[case("whatsapp:+1\0")]
    #[case(&"1".repeat(257))]
    fn invalid_addresses_are_refused(#[case] text: &str) {
        assert_eq!(Address::parse(text), Err(InvalidAddress));
    }
}
