//! Where a message goes to and comes from.

use std::fmt;
use std::sync::Arc;

/// The address of a recipient or sender as the integrator writes it:
/// `whatsapp:+15550100001`, `whatsapp:US.1349…`, `rcs:…` or a bare number.
///
/// It is personal data, so `Debug` and `Display` show a mask; whoever really
/// needs the address asks for it with [`Address::reveal`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Arc<str>);

/// The text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an address is 1 to 256 characters without control characters, like whatsapp:+15550100001")]
pub struct InvalidAddress;

/// The word of [`Address::erased`], which statements of the stores look for.
pub const ERASED: &str = "erased";

impl Address {
    /// Takes an address as it comes; case and form matter and are kept.
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        if crate::text::is_plain_line(text, 256) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidAddress)
        }
    }

    /// What stands in the place of an address that was erased. It is a text like
    /// any other, so that programs of an earlier release can read it.
    #[must_use]
    pub fn erased() -> Self {
        Self(ERASED.into())
    }

    /// Whether it was erased.
    #[must_use]
    pub fn is_erased(&self) -> bool {
        &*self.0 == ERASED
    }

    /// Whether both are one address, where either may lack its scheme, and a number its plus.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let (own_scheme, own) = self.parts();
        let (scheme, name) = other.parts();
        let schemes = own_scheme.zip(scheme);
        schemes.is_none_or(|(own, other)| own == other) && without_plus(own) == without_plus(name)
    }

    fn parts(&self) -> (Option<&str>, &str) {
        match self.0.split_once(':') {
            Some((scheme, name)) => (Some(scheme), name),
            None => (None, &self.0),
        }
    }

    /// The address itself. Never write it into a log line.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

fn without_plus(name: &str) -> &str {
    name.strip_prefix('+').unwrap_or(name)
}

/// The mask: the scheme and the last four characters, `whatsapp:+***0001`.
/// Names shorter than eight characters are hidden whole, and the number of
/// stars says nothing about the length. What was erased says so.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_erased() {
            return f.write_str(ERASED);
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
    #[case("rcs:brand_agent", "brand_agent", true)]
    #[case("rcs:brand_agent", "Brand_agent", false)]
    fn an_address_may_lack_its_scheme(#[case] one: &str, #[case] other: &str, #[case] same: bool) {
        let [one, other] = [one, other].map(|text| Address::parse(text).unwrap());
        assert_eq!((one.is_like(&other), other.is_like(&one)), (same, same));
    }

    #[rstest]
    #[case("")]
    #[case("   ")]
    #[case("whatsapp:+1\0")]
    #[case(&"1".repeat(257))]
    fn what_is_no_address_is_refused(#[case] text: &str) {
        assert_eq!(Address::parse(text), Err(InvalidAddress));
    }
}
