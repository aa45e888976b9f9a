//! Forwarding: requests that are not reports, like incoming messages, are passed on as they
//! arrived.

use std::fmt;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::{ChannelId, Timestamp};

/// The maximum number of requests of a channel that wait to be forwarded.
pub const MAX_WAITING_REQUESTS: u64 = 10_000;

/// The maximum size of all requests of a channel that wait to be forwarded, sealed.
pub const MAX_WAITING_BYTES: u64 = 64 * 1_048_576;

/// Requests that were not forwarded are removed this long after they arrived.
pub const FORWARDING_PERIOD: Duration = Duration::from_hours(72);

/// The first byte of an encoded request.
const FORMAT: u8 = 1;

/// A request to forward. Its content is personal data: it is stored sealed and never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct ForwardedRequest {
    /// Header lines, as name and value.
    headers: Vec<(String, Vec<u8>)>,
    /// The exact bytes of the body.
    body: Vec<u8>,
}

/// The bytes are not an encoded request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not a request to forward")]
pub struct InvalidForwardedRequest;

impl ForwardedRequest {
    /// Creates a request. Header lines whose name is longer than 255 bytes or whose value is longer
    /// than 65,535 bytes are left out, and so are all after the 255th.
    #[must_use]
    pub fn new(headers: Vec<(String, Vec<u8>)>, body: Vec<u8>) -> Self {
        let fits = |(name, value): &(String, Vec<u8>)| {
            u8::try_from(name.len()).is_ok() && u16::try_from(value.len()).is_ok()
        };
        let headers = headers.into_iter().filter(fits).take(255).collect();
        Self { headers, body }
    }

    /// Returns the header lines.
    #[must_use]
    pub fn headers(&self) -> &[(String, Vec<u8>)] {
        &self.headers
    }

    /// Returns the body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns the request as bytes: the number of header lines, each with its lengths, and the
    /// body.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let lines = self.headers.iter();
        let lines: usize = lines
            .map(|(name, value)| 3 + name.len() + value.len())
            .sum();
        let mut bytes = Vec::with_capacity(2 + lines + self.body.len());
        bytes.push(FORMAT);
        bytes.push(u8::try_from(self.headers.len()).unwrap_or(u8::MAX));
        for (name, value) in &self.headers {
            bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
            bytes.extend_from_slice(value);
        }
        bytes.extend_from_slice(&self.body);
        Zeroizing::new(bytes)
    }

    /// Decodes what [`ForwardedRequest::encode`] returned.
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidForwardedRequest> {
        let ([FORMAT, count], mut rest) = split(bytes)? else {
            return Err(InvalidForwardedRequest);
        };
        let mut headers = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let ([length], after) = split(rest)?;
            let (name, after) = take(after, length.into())?;
            let (length, after) = split(after)?;
            let (value, after) = take(after, u16::from_be_bytes(length).into())?;
            let name = String::from_utf8(name.to_vec()).map_err(|_| InvalidForwardedRequest)?;
            headers.push((name, value.to_vec()));
            rest = after;
        }
        Ok(Self {
            headers,
            body: rest.to_vec(),
        })
    }

    /// Returns the text that a sealed request is bound to, so that it opens for this channel only.
    #[must_use]
    pub fn sealing_context(channel: &ChannelId) -> String {
        format!("channel/{channel}/forwarded-request")
    }
}

impl fmt::Debug for ForwardedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ForwardedRequest(***)")
    }
}

fn split<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), InvalidForwardedRequest> {
    let (first, rest) = bytes.split_first_chunk().ok_or(InvalidForwardedRequest)?;
    Ok((*first, rest))
}

fn take(bytes: &[u8], length: usize) -> Result<(&[u8], &[u8]), InvalidForwardedRequest> {
    bytes
        .split_at_checked(length)
        .ok_or(InvalidForwardedRequest)
}

/// Identifies a request that waits to be forwarded: the same for the same bytes on the same
/// channel, so that a redelivered request is stored once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForwardedRequestKey {
    /// The channel.
    pub channel: ChannelId,
    /// The keyed hash of the body.
    pub body_hash: [u8; 32],
}

/// The requests of a channel that wait to be forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingRequests {
    /// How many.
    pub requests: u64,
    /// Their size in bytes, sealed.
    pub bytes: u64,
    /// When the oldest one arrived.
    pub oldest_at: Timestamp,
    /// The last failed attempt of those that wait; `None` if none of them failed.
    pub last_failure: Option<ForwardingFailure>,
}

/// A failed attempt to forward a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardingFailure {
    /// When.
    pub at: Timestamp,
    /// Why, for operators.
    pub error: String,
}

/// How much of the space of a channel is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForwardingBacklog {
    requests: u64,
    bytes: u64,
}

impl ForwardingBacklog {
    /// Creates a backlog of so many requests with so many bytes.
    #[must_use]
    pub const fn new(requests: u64, bytes: u64) -> Self {
        Self { requests, bytes }
    }

    /// Adds a request of this size if there is space, and returns whether there was. A backlog that
    /// is empty has space for any request.
    pub fn add(&mut self, bytes: usize) -> bool {
        let bytes = self
            .bytes
            .saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        let fits = self.requests < MAX_WAITING_REQUESTS && bytes <= MAX_WAITING_BYTES;
        let is_added = self.requests == 0 || fits;
        if is_added {
            self.requests += 1;
            self.bytes = bytes;
        }
        is_added
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> impl Strategy<Value = (String, Vec<u8>)> {
        (
            "[A-Za-z0-9-]{0,40}",
            prop::collection::vec(any::<u8>(), 0..60),
        )
    }

    proptest! {
        #[test]
        fn encoded_requests_are_decoded(
            headers in prop::collection::vec(header(), 0..6),
            body: Vec<u8>,
        ) {
            let request = ForwardedRequest::new(headers, body);
            prop_assert_eq!(ForwardedRequest::decode(&request.encode()), Ok(request));
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes: Vec<u8>) {
            if let Ok(request) = ForwardedRequest::decode(&bytes) {
                prop_assert_eq!(&request.encode()[..], &bytes[..]);
            }
        }
    }

    #[test]
    fn header_lines_that_cannot_be_encoded_are_left_out() {
        let headers = vec![
            ("n".repeat(256), b"1".to_vec()),
            ("long".to_owned(), vec![b'v'; 65_536]),
            ("fits".to_owned(), vec![b'v'; 65_535]),
        ];
        let request = ForwardedRequest::new(headers, b"body".to_vec());
        assert_eq!(request.headers().len(), 1);
        assert_eq!(ForwardedRequest::decode(&request.encode()), Ok(request));
        let many = (0..300)
            .map(|number| (number.to_string(), Vec::new()))
            .collect();
        let request = ForwardedRequest::new(many, Vec::new());
        assert_eq!(ForwardedRequest::decode(&request.encode()), Ok(request));
    }

    #[test]
    fn cut_requests_are_refused() {
        let headers = vec![("name".to_owned(), b"value".to_vec())];
        let encoded = ForwardedRequest::new(headers, Vec::new()).encode();
        for length in 0..encoded.len() {
            let cut = ForwardedRequest::decode(&encoded[..length]);
            assert_eq!(cut, Err(InvalidForwardedRequest), "{length} bytes");
        }
        assert_eq!(
            ForwardedRequest::decode(&[2, 0]),
            Err(InvalidForwardedRequest)
        );
    }

    #[test]
    fn backlog_has_space_for_so_many_requests_and_bytes() {
        let mut backlog = ForwardingBacklog::new(MAX_WAITING_REQUESTS - 1, 0);
        assert!(backlog.add(1));
        assert!(!backlog.add(1));
        let mut backlog = ForwardingBacklog::new(1, MAX_WAITING_BYTES - 1);
        assert!(!backlog.add(2));
        assert!(backlog.add(1));
        let mut backlog = ForwardingBacklog::default();
        assert!(backlog.add(usize::MAX), "an empty one takes any request");
        assert!(!backlog.add(1));
    }
}
