//! Browser sessions of operators.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::OperatorTokenId;
use crate::Timestamp;

/// How long a session lasts at most.
pub const SESSION_LIFETIME: Duration = Duration::from_hours(12);

/// How long a session lasts without a request.
pub const SESSION_IDLE_TIMEOUT: Duration = Duration::from_hours(2);

/// The id of a session, by which it is listed and ended. It does not authenticate anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub Uuid);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for SessionId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

/// The 256 random bits in a browser's cookie. Only their hash is stored; their memory is zeroed.
#[derive(Clone)]
pub struct SessionKey(Zeroizing<[u8; 32]>);

impl SessionKey {
    /// Takes 32 random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Parses the value of a cookie; `None` if it is not one of [`SessionKey::reveal`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        Some(Self(Zeroizing::new(bytes.as_slice().try_into().ok()?)))
    }

    /// Returns the value of the cookie. Never log it.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.0.as_slice()))
    }

    /// Returns the hash to store.
    #[must_use]
    pub fn hash(&self) -> SessionHash {
        SessionHash(Sha256::digest(self.0.as_slice()).into())
    }

    /// Returns the token that every form of this session contains. It cannot be computed without
    /// the key, and the key cannot be computed from it.
    #[must_use]
    pub fn csrf_token(&self) -> CsrfToken {
        let mut hash = Sha256::new();
        hash.update(b"receiptd csrf token");
        hash.update(self.0.as_slice());
        CsrfToken(URL_SAFE_NO_PAD.encode(hash.finalize()))
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(***)")
    }
}

/// The SHA-256 of a session's key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionHash(pub [u8; 32]);

impl fmt::Debug for SessionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionHash(***)")
    }
}

/// The token in the forms of one session (synchroniser token).
#[derive(Clone)]
pub struct CsrfToken(String);

impl CsrfToken {
    /// Returns the token for a form of its session.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Compares a submitted token with this one, in constant time.
    #[must_use]
    pub fn is(&self, submitted: &str) -> bool {
        self.0.as_bytes().ct_eq(submitted.as_bytes()).into()
    }
}

impl fmt::Debug for CsrfToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CsrfToken(***)")
    }
}

/// A stored session. The hash of its key is stored beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// The token it was started with; the session is valid as long as this is.
    pub token: OperatorTokenId,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it was last used, to within a minute.
    pub last_used_at: Timestamp,
    /// When it ends, whether or not it is used.
    pub expires_at: Timestamp,
    /// The address it was started from.
    pub source: IpAddr,
}

impl Session {
    /// Makes a session that starts at `now`.
    #[must_use]
    pub fn start(id: SessionId, token: OperatorTokenId, source: IpAddr, now: Timestamp) -> Self {
        Self {
            id,
            token,
            started_at: now,
            last_used_at: now,
            expires_at: after(now, SESSION_LIFETIME),
            source,
        }
    }

    /// Returns whether it is neither expired nor idle for too long at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.expires_at && now < after(self.last_used_at, SESSION_IDLE_TIMEOUT)
    }
}

/// Returns the time before which a session that is live at `now` was not last used.
#[must_use]
pub fn idle_since(now: Timestamp) -> Timestamp {
    now.plus_micros(micros(SESSION_IDLE_TIMEOUT).saturating_neg())
}

fn after(time: Timestamp, duration: Duration) -> Timestamp {
    time.plus_micros(micros(duration))
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 60 * 60 * 1_000_000;

    #[test]
    fn key_is_read_from_the_cookie_that_contains_it() {
        let key = SessionKey::from_random([9; 32]);
        let parsed = SessionKey::parse(&key.reveal()).unwrap();
        assert_eq!(parsed.hash(), key.hash());
        assert_eq!(
            format!("{key:?} {:?}", key.hash()),
            "SessionKey(***) SessionHash(***)"
        );
        for other in ["", "a", "!", &"A".repeat(44)] {
            assert!(SessionKey::parse(other).is_none(), "{other}");
        }
    }

    #[test]
    fn each_session_has_its_own_csrf_token() {
        let (one, other) = (
            SessionKey::from_random([1; 32]),
            SessionKey::from_random([2; 32]),
        );
        let token = one.csrf_token();
        assert!(token.is(one.csrf_token().reveal()));
        assert!(!token.is(other.csrf_token().reveal()));
        assert!(!token.is(""));
        assert_ne!(token.reveal(), one.reveal().as_str());
        assert_eq!(format!("{token:?}"), "CsrfToken(***)");
    }

    #[test]
    fn session_ends_after_twelve_hours_or_two_idle_ones() {
        let start = Timestamp::EPOCH;
        let loopback = IpAddr::from([127, 0, 0, 1]);
        let (id, token) = (SessionId(Uuid::nil()), OperatorTokenId(Uuid::nil()));
        let mut session = Session::start(id, token, loopback, start);
        assert!(session.is_live(start.plus_micros(2 * HOUR - 1)));
        assert!(!session.is_live(start.plus_micros(2 * HOUR)));
        session.last_used_at = start.plus_micros(11 * HOUR);
        assert!(session.is_live(start.plus_micros(12 * HOUR - 1)));
        assert!(!session.is_live(start.plus_micros(12 * HOUR)));
        assert_eq!(idle_since(start.plus_micros(2 * HOUR)), start);
    }
}
