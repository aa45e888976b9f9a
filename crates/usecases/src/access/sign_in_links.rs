//! Sign-in links that are valid once.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::access::{SessionHash, SessionKey};
use zeroize::Zeroizing;

/// How long a link is valid.
const LINK_LIFETIME: Duration = Duration::from_mins(10);

/// Links that are valid at a time; a new one replaces the oldest.
const MAX_LINKS: usize = 8;

/// The secret of a link that signs in as the bootstrap operator, once.
pub struct SignInLink(SessionKey);

impl SignInLink {
    /// Returns the text for the URL. Never log it.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        self.0.reveal()
    }
}

impl fmt::Debug for SignInLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignInLink(***)")
    }
}

/// The links of this process; they are not stored.
#[derive(Debug, Default)]
pub(crate) struct SignInLinks(Mutex<Vec<ValidLink>>);

#[derive(Debug)]
struct ValidLink {
    hash: SessionHash,
    expires: Duration,
}

impl SignInLinks {
    /// Makes a link from 32 random bytes at a monotonic time.
    pub(crate) fn add(&self, bytes: [u8; 32], now: Duration) -> SignInLink {
        let secret = SessionKey::from_random(bytes);
        let mut links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|link| now < link.expires);
        if links.len() >= MAX_LINKS {
            links.remove(0);
        }
        links.push(ValidLink {
            hash: secret.hash(),
            expires: now + LINK_LIFETIME,
        });
        SignInLink(secret)
    }

    /// Returns whether `text` is a valid link, and makes it invalid.
    pub(crate) fn take(&self, text: &str, now: Duration) -> bool {
        let Some(secret) = SessionKey::parse(text) else {
            return false;
        };
        let hash = secret.hash();
        let mut links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = links.iter().position(|link| link.hash == hash);
        found.is_some_and(|found| now < links.remove(found).expires)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_is_valid_once_and_for_ten_minutes() {
        let links = SignInLinks::default();
        let start = Duration::from_secs(7);
        let link = links.add([1; 32], start);
        assert!(!links.take("another", start));
        assert!(!links.take(&SessionKey::from_random([2; 32]).reveal(), start));
        assert!(links.take(&link.reveal(), start + LINK_LIFETIME / 2));
        assert!(!links.take(&link.reveal(), start));
        let late = links.add([3; 32], start);
        assert!(!links.take(&late.reveal(), start + LINK_LIFETIME));
        assert_eq!(format!("{link:?}"), "SignInLink(***)");
    }

    #[test]
    fn new_link_replaces_the_oldest_of_too_many() {
        let links = SignInLinks::default();
        let first = links.add([0; 32], Duration::ZERO);
        let second = links.add([1; 32], Duration::ZERO);
        for number in 2..=8 {
            links.add([number; 32], Duration::ZERO);
        }
        assert!(!links.take(&first.reveal(), Duration::ZERO));
        assert!(links.take(&second.reveal(), Duration::ZERO));
    }
}
