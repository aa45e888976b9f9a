//! Limits the bodies that are read before their caller is authenticated.

use actix_web::http::header::{self, HeaderMap};
use tokio::sync::{Semaphore, SemaphorePermit};
use usecases::ReceiveError;
use usecases::ingest::queue::IngestError;

use super::error::WebhookError;
use crate::request_body::{REPORT_BODY_MAX, announced_length};

/// How many large bodies are read at a time; together they take 64 MiB.
const CONCURRENT_LARGE_BODIES: usize = 16;

/// Admits the bodies of callers that are authenticated by a signature of the body: any number of
/// small ones, as of callers without credentials, and a few large ones.
pub(super) struct UnauthenticatedBodies(Semaphore);

impl UnauthenticatedBodies {
    /// Creates the limits of a listener.
    pub(super) const fn new() -> Self {
        Self(Semaphore::const_new(CONCURRENT_LARGE_BODIES))
    }

    /// Admits a body of at most `max` bytes; `None` is a permit for a small one. The permit of a
    /// large one is held while it is read.
    pub(super) fn admit(
        &self,
        head: &HeaderMap,
        max: usize,
    ) -> Result<Option<SemaphorePermit<'_>>, WebhookError> {
        let announced = announced_length(head);
        let is_chunked = head.contains_key(header::TRANSFER_ENCODING);
        let length = if is_chunked {
            max
        } else {
            announced.unwrap_or(0)
        };
        if length <= REPORT_BODY_MAX {
            return Ok(None);
        }
        let overloaded = |_| ReceiveError::NotRecorded(IngestError::Overloaded);
        let permit = self.0.try_acquire().map_err(overloaded);
        permit.map(Some).map_err(WebhookError::Receive)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn head(name: header::HeaderName, value: &'static str) -> HeaderMap {
        let mut head = HeaderMap::new();
        head.insert(name, HeaderValue::from_static(value));
        head
    }

    #[test]
    fn few_large_bodies_are_read_at_a_time() {
        let bodies = UnauthenticatedBodies::new();
        let large = head(header::CONTENT_LENGTH, "65537");
        let small = head(header::CONTENT_LENGTH, "65536");
        let chunked = head(header::TRANSFER_ENCODING, "chunked");
        let admit = |head| bodies.admit(head, 4_194_304);
        let mut permits: Vec<_> = (1..CONCURRENT_LARGE_BODIES)
            .map(|_| admit(&large).ok().flatten())
            .collect();
        permits.push(admit(&chunked).ok().flatten());
        assert!(permits.iter().all(Option::is_some));
        assert!(admit(&large).is_err() && admit(&chunked).is_err());
        assert!(admit(&small).is_ok_and(|permit| permit.is_none()));
        permits.pop();
        assert!(admit(&large).is_ok());
    }
}
