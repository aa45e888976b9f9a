//! A credential that is about to expire.

use crate::trouble::Finding;
use crate::{Credential, Timestamp};

/// How long before its end a credential is found: 7 days.
const NOTICE_MICROS: i64 = 7 * 86_400 * 1_000_000;

/// A credential that was used within this time is in use: a day.
const IN_USE_MICROS: i64 = 86_400 * 1_000_000;

/// Finds a credential that expires soon, or has expired, although it is in use or no other one of
/// the channel lasts longer. `all` are the credentials of the channel, `credential` among them.
#[must_use]
pub fn credential_expiring(
    credential: &Credential,
    all: &[Credential],
    now: Timestamp,
) -> Option<Finding> {
    let expires_at = credential.expires_at?;
    if expires_at > now.plus_micros(NOTICE_MICROS) {
        return None;
    }
    // The last one that expires stands for those before it.
    let outlasted = all.iter().any(|other| {
        other.id != credential.id
            && other
                .expires_at
                .is_none_or(|end| (end, other.id) > (expires_at, credential.id))
    });
    let in_use = |used: Timestamp| used >= now.plus_micros(-IN_USE_MICROS);
    let is_live = now < expires_at;
    if outlasted && !(is_live && credential.last_used_at.is_some_and(in_use)) {
        return None;
    }
    let (since, what) = if is_live {
        (
            expires_at.plus_micros(-NOTICE_MICROS),
            "expires within seven days",
        )
    } else {
        (
            expires_at,
            "has expired, and no other one of the channel is valid",
        )
    };
    let user = credential.user.as_str();
    Some(Finding {
        since,
        seen: format!("The credential of user {user} {what}."),
    })
}
