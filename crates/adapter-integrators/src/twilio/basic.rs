//! The `Authorization` header: a user and a password in the Basic scheme.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Callers leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What an `Authorization` header shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// Nothing: there is no header, or it is blank.
    Absent,
    /// Something that is no Basic authorization.
    Malformed,
    /// A user and a password.
    Basic(UserAndPassword),
}

/// A user and a password as a caller presents them. The user has no colon; the
/// password may hold anything.
#[derive(Clone, PartialEq, Eq)]
pub struct UserAndPassword {
    pair: String,
    colon: usize,
}

impl UserAndPassword {
    /// What stands before the first colon.
    #[must_use]
    pub fn user(&self) -> &str {
        self.pair.get(..self.colon).unwrap_or_default()
    }

    /// What stands after the first colon. Never write it into a log line.
    #[must_use]
    pub fn password(&self) -> &str {
        self.pair.get(self.colon + 1..).unwrap_or_default()
    }
}

impl fmt::Debug for UserAndPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserAndPassword(***)")
    }
}

/// Reads the value of an `Authorization` header.
///
/// The scheme is compared without case (the vendor's own sample writes
/// `basic`), any number of spaces may follow it, and the pair is UTF-8.
#[must_use]
pub fn parse(header: Option<&[u8]>) -> Authorization {
    let header = header.unwrap_or_default().trim_ascii();
    if header.is_empty() {
        return Authorization::Absent;
    }
    pair_of(header).map_or(Authorization::Malformed, Authorization::Basic)
}

fn pair_of(header: &[u8]) -> Option<UserAndPassword> {
    let scheme_end = header.iter().position(u8::is_ascii_whitespace)?;
    let (scheme, token) = header.split_at_checked(scheme_end)?;
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let pair = String::from_utf8(BASE64.decode(token.trim_ascii_start()).ok()?).ok()?;
    let colon = pair.find(':')?;
    Some(UserAndPassword { pair, colon })
}

#[cfg(test)]
mod tests;
