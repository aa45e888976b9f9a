//! Parsing the `Authorization` header (Basic scheme).

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ports::integrator::UserAndPassword;

/// Some callers omit the padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A parsed `Authorization` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// There is no header, or it is blank.
    Absent,
    /// Not a valid Basic header.
    Malformed,
    /// A user and a password.
    Basic(UserAndPassword),
}

/// Parses the value of an `Authorization` header.
///
/// The scheme is case-insensitive (Twilio's own sample writes `basic`) and may be followed by any
/// number of spaces; user and password are UTF-8.
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
    UserAndPassword::new(pair)
}

#[cfg(test)]
mod tests;
