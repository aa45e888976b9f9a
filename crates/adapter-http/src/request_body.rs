//! Request bodies, read chunk by chunk: no more than the limit is kept, and unwanted bodies are
//! dropped as they arrive.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web::{Bytes, BytesMut};
use actix_web::{HttpResponse, error::PayloadError};
use futures_util::StreamExt as _;

use crate::problem::Problem;

/// The most bytes that the body of a report may have. A real one has about 1 KiB.
pub(crate) const REPORT_BODY_MAX: usize = 65_536;

/// The most bytes that the body of a request to the operator's API may have.
pub(crate) const OPERATOR_BODY_MAX: usize = 1_048_576;

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It is longer than this.
    TooLarge(usize),
    /// It did not arrive in time.
    TooSlow,
    /// It is incomplete, or its chunks are malformed.
    Broken,
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge(max) => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                format!("the body may have at most {max} bytes"),
            ),
            BodyError::TooSlow => Self::new(
                StatusCode::REQUEST_TIMEOUT,
                "timeout",
                "the body did not arrive in time",
            ),
            BodyError::Broken => Self::new(
                StatusCode::BAD_REQUEST,
                "broken_body",
                "the body is incomplete or its chunks are malformed",
            ),
        }
    }
}

/// The body of a request.
pub(crate) struct RequestBody {
    payload: Payload,
    max: usize,
    complete: bool,
    /// Bytes still to come of a body whose end the server does not see: after
    /// `Upgrade: websocket` it takes everything that follows for the new protocol.
    remaining: Option<usize>,
}

impl RequestBody {
    /// Takes the body that `headers` announce, of which at most `max` bytes are read.
    pub(crate) fn new(payload: Payload, headers: &HeaderMap, max: usize) -> Self {
        Self {
            payload,
            max,
            complete: false,
            remaining: asks_for_websocket(headers).then(|| announced_length(headers).unwrap_or(0)),
        }
    }

    /// Sets how many bytes of it are read.
    pub(crate) const fn allow(&mut self, max: usize) {
        self.max = max;
    }

    /// Returns whether the body was read to its end.
    pub(crate) const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Reads the body to its end.
    pub(crate) async fn read(
        &mut self,
        headers: &HeaderMap,
        deadline: Instant,
    ) -> Result<Bytes, BodyError> {
        self.check_announced(headers)?;
        let read = tokio::time::timeout_at(deadline.into(), self.collect()).await;
        read.unwrap_or(Err(BodyError::TooSlow))
    }

    /// Reads the body to its end without keeping it, and returns its length.
    pub(crate) async fn skip(
        &mut self,
        headers: &HeaderMap,
        deadline: Instant,
    ) -> Result<usize, BodyError> {
        self.check_announced(headers)?;
        let skipped = tokio::time::timeout_at(deadline.into(), self.discard()).await;
        skipped.unwrap_or(Err(BodyError::TooSlow))
    }

    /// Drops the body as it arrives, so that the connection can carry another request. Stops
    /// when it is too long or takes longer than `timeout`.
    pub(crate) async fn drain(&mut self, headers: &HeaderMap, timeout: Duration) {
        if !self.complete && announced_length(headers).is_none_or(|length| length <= self.max) {
            // The rest of a body that is too late stays unread; see `answer`.
            let _ = tokio::time::timeout(timeout, self.discard()).await;
        }
    }

    /// Completes the answer to its request. If the body was not read to its end, the rest of it
    /// cannot be told from the next request, so the connection is closed.
    ///
    /// Then the unread body is kept until the answer is sent: otherwise the server would keep
    /// reading it for as long as the client keeps sending.
    pub(crate) fn answer(self, response: HttpResponse) -> HttpResponse {
        if self.complete {
            return response;
        }
        let response = closing(response);
        let payload = self.payload;
        response.map_body(|_, text| {
            let text = text.try_into_bytes().unwrap_or_default();
            BoxBody::new(AnswerToUnread {
                text,
                _unread: payload,
            })
        })
    }

    fn check_announced(&self, headers: &HeaderMap) -> Result<(), BodyError> {
        if announced_length(headers).is_some_and(|length| length > self.max) {
            return Err(BodyError::TooLarge(self.max));
        }
        Ok(())
    }

    async fn collect(&mut self) -> Result<Bytes, BodyError> {
        // Nearly every body arrives in one chunk, which need not be copied.
        let Some(first) = self.next().await? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.next().await? else {
            return self.checked(first);
        };
        let mut whole = BytesMut::from(first);
        whole.extend_from_slice(&second);
        while whole.len() <= self.max {
            match self.next().await? {
                Some(chunk) => whole.extend_from_slice(&chunk),
                None => return self.checked(whole.freeze()),
            }
        }
        Err(BodyError::TooLarge(self.max))
    }

    fn checked(&self, body: Bytes) -> Result<Bytes, BodyError> {
        if body.len() <= self.max {
            Ok(body)
        } else {
            Err(BodyError::TooLarge(self.max))
        }
    }

    async fn discard(&mut self) -> Result<usize, BodyError> {
        let mut length = 0;
        while let Some(chunk) = self.next().await? {
            length += chunk.len();
            if length > self.max {
                return Err(BodyError::TooLarge(self.max));
            }
        }
        Ok(length)
    }

    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        if self.remaining == Some(0) {
            return Ok(None);
        }
        match self.payload.next().await {
            Some(Ok(mut chunk)) => {
                if let Some(remaining) = &mut self.remaining {
                    chunk.truncate(*remaining);
                    *remaining -= chunk.len();
                }
                Ok(Some(chunk))
            }
            Some(Err(PayloadError::Overflow)) => Err(BodyError::TooLarge(self.max)),
            Some(Err(_)) => Err(BodyError::Broken),
            None => {
                self.complete = true;
                Ok(None)
            }
        }
    }
}

/// Returns whether a request has a body.
pub(crate) fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING)
        || announced_length(headers).is_some_and(|length| length > 0)
}

/// Returns whether the server takes what follows the head for another protocol. It reads a chunked
/// body even then.
fn asks_for_websocket(headers: &HeaderMap) -> bool {
    let upgrades = headers.get_all(header::UPGRADE).map(HeaderValue::as_bytes);
    let websocket = |value: &[u8]| value.trim_ascii().eq_ignore_ascii_case(b"websocket");
    !headers.contains_key(header::TRANSFER_ENCODING) && upgrades.into_iter().any(websocket)
}

/// Returns the `Content-Length`. The server has refused lengths that are not numbers.
pub(crate) fn announced_length(headers: &HeaderMap) -> Option<usize> {
    let length = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?;
    length.trim().parse().ok()
}

/// Makes the server close the connection after `response`.
pub(crate) fn closing(mut response: HttpResponse) -> HttpResponse {
    response
        .head_mut()
        .set_connection_type(actix_web::http::ConnectionType::Close);
    response
}

/// The body of an answer, with the request body that was not read.
struct AnswerToUnread {
    text: Bytes,
    _unread: Payload,
}

impl MessageBody for AnswerToUnread {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        // Lossless: usize has at most 64 bits.
        BodySize::Sized(u64::try_from(self.text.len()).unwrap_or(u64::MAX))
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        let text = std::mem::take(&mut self.text);
        Poll::Ready((!text.is_empty()).then_some(Ok(text)))
    }
}
