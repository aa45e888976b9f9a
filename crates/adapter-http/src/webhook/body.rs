//! Bodies, read piece by piece: never more than the limit is held, and what
//! nobody asked for is dropped as it comes.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web::{Bytes, BytesMut};
use actix_web::{HttpResponse, error::PayloadError};
use futures_util::StreamExt as _;

/// The longest body that is read. A real report has about 1 KiB.
pub const BODY_MAX: usize = 65_536;

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It is longer than [`BODY_MAX`].
    TooLarge,
    /// It did not arrive in time.
    TooSlow,
    /// It breaks off, or its chunks make no sense.
    Broken,
}

/// The body of a request, of which nothing or all has been read.
pub(crate) struct Body {
    payload: Payload,
    /// The most bytes that are read.
    max: usize,
    ended: bool,
    /// What is still to come of a body whose end the server does not see: after
    /// `Upgrade: websocket` it takes everything that follows for the new protocol.
    left: Option<usize>,
}

impl Body {
    /// The body that belongs to these headers.
    pub(crate) fn new(payload: Payload, headers: &HeaderMap, max: usize) -> Self {
        Self {
            payload,
            max,
            ended: false,
            left: asks_for_websocket(headers).then(|| announced_length(headers).unwrap_or(0)),
        }
    }

    /// Whether it was read to its end.
    pub(crate) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Reads it to its end.
    pub(crate) async fn read(
        &mut self,
        headers: &HeaderMap,
        deadline: Instant,
    ) -> Result<Bytes, BodyError> {
        if announced_length(headers).is_some_and(|length| length > self.max) {
            return Err(BodyError::TooLarge);
        }
        match tokio::time::timeout_at(deadline.into(), self.collect()).await {
            Ok(read) => read,
            Err(_elapsed) => Err(BodyError::TooSlow),
        }
    }

    /// Drops it as it comes, so that the connection can carry another request.
    /// Gives up on one that is not small, or not there within `patience`.
    pub(crate) async fn drain(&mut self, headers: &HeaderMap, patience: Duration) {
        if !self.ended && announced_length(headers).is_none_or(|length| length <= self.max) {
            // The rest of a body that came too late stays unread; see `answer`.
            let _ = tokio::time::timeout(patience, self.discard()).await;
        }
    }

    /// The answer to its request. If the body was not read to its end, what
    /// follows on the connection cannot be told from a request, so the
    /// connection is closed.
    ///
    /// Then the unread body is kept until the answer is sent: the server would
    /// otherwise go on reading it for as long as the client goes on sending.
    pub(crate) fn answer(self, response: HttpResponse) -> HttpResponse {
        if self.ended {
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

    async fn collect(&mut self) -> Result<Bytes, BodyError> {
        // Nearly every body comes in one piece, which need not be copied.
        let Some(first) = self.next().await? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.next().await? else {
            return self.fitting(first);
        };
        let mut whole = BytesMut::from(first);
        whole.extend_from_slice(&second);
        while whole.len() <= self.max {
            match self.next().await? {
                Some(piece) => whole.extend_from_slice(&piece),
                None => return self.fitting(whole.freeze()),
            }
        }
        Err(BodyError::TooLarge)
    }

    fn fitting(&self, body: Bytes) -> Result<Bytes, BodyError> {
        if body.len() <= self.max {
            Ok(body)
        } else {
            Err(BodyError::TooLarge)
        }
    }

    async fn discard(&mut self) {
        let mut length = 0;
        while let Ok(Some(piece)) = self.next().await {
            length += piece.len();
            if length > self.max {
                return;
            }
        }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        if self.left == Some(0) {
            return Ok(None);
        }
        match self.payload.next().await {
            Some(Ok(mut piece)) => {
                if let Some(left) = &mut self.left {
                    piece.truncate(*left);
                    *left -= piece.len();
                }
                Ok(Some(piece))
            }
            Some(Err(PayloadError::Overflow)) => Err(BodyError::TooLarge),
            Some(Err(_)) => Err(BodyError::Broken),
            None => {
                self.ended = true;
                Ok(None)
            }
        }
    }
}

/// Whether a request has a body.
pub(crate) fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING)
        || announced_length(headers).is_some_and(|length| length > 0)
}

/// Whether the server takes what follows the head for another protocol; a chunked body it
/// reads all the same.
fn asks_for_websocket(headers: &HeaderMap) -> bool {
    let upgrades = headers.get_all(header::UPGRADE).map(HeaderValue::as_bytes);
    let websocket = |value: &[u8]| value.trim_ascii().eq_ignore_ascii_case(b"websocket");
    !headers.contains_key(header::TRANSFER_ENCODING) && upgrades.into_iter().any(websocket)
}

/// A length that is no number has been refused by the server already.
fn announced_length(headers: &HeaderMap) -> Option<usize> {
    let length = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?;
    length.trim().parse().ok()
}

/// The answer after which the server closes the connection.
pub(crate) fn closing(mut response: HttpResponse) -> HttpResponse {
    response
        .head_mut()
        .set_connection_type(actix_web::http::ConnectionType::Close);
    response
}

/// The text of an answer, and the request body that was not read.
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
