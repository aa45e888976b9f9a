//! The key of a message.

use std::fmt;
use std::sync::Arc;

use crate::{ChannelId, CredentialId};

/// The integrator's id of a message. Twilio's are `SM` or `MM` and 32 hex
/// digits; any other is as good.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageSid(Arc<str>);

/// The maximum length of a message id: Infobip lets the sender choose up to 200 characters.
pub const MESSAGE_SID_LENGTH_MAX: usize = 200;

/// The text is not a message id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message id is 1 to 200 printable ASCII characters without spaces")]
pub struct InvalidMessageSid;

/// The beginning of the ids of test messages. No integrator's ids begin so.
const TEST_PREFIX: &str = "receiptd-test-";

/// The first byte of a compact sid, which tells its format.
const AS_TEXT: u8 = 0;
const SM_AND_16_BYTES: u8 = 1;
const MM_AND_16_BYTES: u8 = 2;

impl MessageSid {
    /// Parses an id; case matters.
    pub fn parse(text: &str) -> Result<Self, InvalidMessageSid> {
        if crate::text::is_ascii_token(text, MESSAGE_SID_LENGTH_MAX) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidMessageSid)
        }
    }

    /// Returns the id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the id of the message that a test credential reports on, and no other credential.
    #[must_use]
    pub fn of_test(credential: CredentialId) -> Self {
        Self(format!("{TEST_PREFIX}{}", credential.0.simple()).into())
    }

    /// Returns whether it is the id of a test message: it counts in no statistics and has no
    /// events.
    #[must_use]
    pub fn is_test(&self) -> bool {
        self.0.starts_with(TEST_PREFIX)
    }

    /// Returns a compact form for stores: 17 bytes for an id of Twilio's form, one more than its
    /// length for any other.
    #[must_use]
    pub fn to_compact(&self) -> Vec<u8> {
        let form = match self.0.get(..2) {
            Some("SM") => Some(SM_AND_16_BYTES),
            Some("MM") => Some(MM_AND_16_BYTES),
            _ => None,
        };
        let compact = form.and_then(|form| {
            let digits = self.0.get(2..).filter(|digits| digits.len() == 32)?;
            let mut compact = Vec::with_capacity(17);
            compact.push(form);
            for pair in digits.as_bytes().chunks_exact(2) {
                let [high, low] = pair else { return None };
                compact.push(nibble(*high)? << 4 | nibble(*low)?);
            }
            Some(compact)
        });
        compact.unwrap_or_else(|| [&[AS_TEXT], self.0.as_bytes()].concat())
    }

    /// Parses the result of [`MessageSid::to_compact`].
    pub fn from_compact(compact: &[u8]) -> Result<Self, InvalidMessageSid> {
        let (form, rest) = compact.split_first().ok_or(InvalidMessageSid)?;
        let prefix = match *form {
            AS_TEXT => {
                return Self::parse(std::str::from_utf8(rest).map_err(|_| InvalidMessageSid)?);
            }
            SM_AND_16_BYTES if rest.len() == 16 => "SM",
            MM_AND_16_BYTES if rest.len() == 16 => "MM",
            _ => return Err(InvalidMessageSid),
        };
        let mut text = String::with_capacity(34);
        text.push_str(prefix);
        for byte in rest {
            for digit in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(u32::from(digit), 16));
            }
        }
        Ok(Self(text.into()))
    }
}

/// Returns the value of a lower-case hex digit. Upper case has no compact form, since it would be
/// restored in lower case.
const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for MessageSid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The key of a message: the same sid on another channel is another message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageKey {
    /// The channel it was sent through.
    pub channel: ChannelId,
    /// The integrator's id.
    pub sid: MessageSid,
}
