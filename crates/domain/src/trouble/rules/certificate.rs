//! A certificate that is about to expire.

use crate::Timestamp;
use crate::trouble::Finding;

/// How long before its end a certificate is found: 14 days. One that is renewed by a program is
/// renewed earlier.
const NOTICE_MICROS: i64 = 14 * 86_400 * 1_000_000;

/// Finds a certificate of a public URL that expires soon, or has expired.
#[must_use]
pub fn certificate_expiring(expires_at: Timestamp, now: Timestamp) -> Option<Finding> {
    let since = expires_at.plus_micros(-NOTICE_MICROS);
    if now < since {
        return None;
    }
    if now < expires_at {
        let seen = "The certificate of the public URL expires within 14 days.".to_owned();
        return Some(Finding { since, seen });
    }
    Some(Finding {
        since: expires_at,
        seen: "The certificate of the public URL has expired.".to_owned(),
    })
}
