//! Limits the bodies that are read before their caller is authenticated.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use actix_web::http::header::{self, HeaderMap};
use tokio::sync::{Semaphore, SemaphorePermit};
use usecases::ReceiveError;
use usecases::ingest::queue::IngestError;

use super::error::WebhookError;
use crate::request_body::{REPORT_BODY_MAX, announced_length};

/// How many large bodies are kept at a time; together they take 64 MiB.
const CONCURRENT_LARGE_BODIES: usize = 16;

/// How many large bodies of one channel are read at a time, so that the callback URL of one channel
/// is not enough to keep out the others.
const LARGE_BODIES_PER_CHANNEL: usize = CONCURRENT_LARGE_BODIES / 4;

/// Admits the bodies of callers that are authenticated by a signature of the body: any number of
/// small ones, as of callers without credentials, and a few large ones.
pub(super) struct UnauthenticatedBodies {
    kept: Semaphore,
    /// How many large bodies are read of each channel, by a hash of its id.
    channels: Mutex<HashMap<u64, usize>>,
    hasher: RandomState,
}

/// The permit of a large body, held while it is read.
pub(super) struct LargeBodyPermit<'a> {
    bodies: &'a UnauthenticatedBodies,
    channel: u64,
    _kept: Option<SemaphorePermit<'a>>,
}

impl UnauthenticatedBodies {
    /// Creates the limits of a listener.
    pub(super) fn new() -> Self {
        Self {
            kept: Semaphore::new(CONCURRENT_LARGE_BODIES),
            channels: Mutex::default(),
            hasher: RandomState::new(),
        }
    }

    /// Admits a body of at most `max` bytes for a channel, which need not exist; `None` is the
    /// permit of a small one.
    ///
    /// Only a body that `is_kept` takes one of the places of all channels. Others are refused under
    /// the same conditions, so that the answer does not tell whether a channel exists.
    pub(super) fn admit(
        &self,
        head: &HeaderMap,
        max: usize,
        channel: &str,
        is_kept: bool,
    ) -> Result<Option<LargeBodyPermit<'_>>, WebhookError> {
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
        let permit = self.admit_large(channel, is_kept);
        let overloaded = || ReceiveError::NotRecorded(IngestError::Overloaded);
        permit
            .map(Some)
            .ok_or_else(|| WebhookError::Receive(overloaded()))
    }

    fn admit_large(&self, channel: &str, is_kept: bool) -> Option<LargeBodyPermit<'_>> {
        let channel = self.hasher.hash_one(channel);
        let mut channels = self.channels();
        let count = channels.get(&channel).copied().unwrap_or_default();
        if count >= LARGE_BODIES_PER_CHANNEL {
            return None;
        }
        let permit = self.kept.try_acquire().ok()?;
        channels.insert(channel, count + 1);
        Some(LargeBodyPermit {
            bodies: self,
            channel,
            _kept: is_kept.then_some(permit),
        })
    }

    fn channels(&self) -> MutexGuard<'_, HashMap<u64, usize>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LargeBodyPermit<'_> {
    fn drop(&mut self) {
        let mut channels = self.bodies.channels();
        let count = channels.get(&self.channel).copied().unwrap_or_default();
        if count > 1 {
            channels.insert(self.channel, count - 1);
        } else {
            channels.remove(&self.channel);
        }
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

    /// Admits a large body.
    fn large<'a>(
        bodies: &'a UnauthenticatedBodies,
        channel: &str,
        is_kept: bool,
    ) -> Option<LargeBodyPermit<'a>> {
        let head = head(header::CONTENT_LENGTH, "65537");
        let admitted = bodies.admit(&head, 4_194_304, channel, is_kept).ok()?;
        assert!(admitted.is_some(), "it needs a permit");
        admitted
    }

    #[test]
    fn small_bodies_need_no_permit_and_chunked_ones_may_be_large() {
        let bodies = UnauthenticatedBodies::new();
        let admit = |name, value| bodies.admit(&head(name, value), 4_194_304, "1", true);
        let small = admit(header::CONTENT_LENGTH, "65536");
        assert!(small.is_ok_and(|permit| permit.is_none()));
        let chunked = admit(header::TRANSFER_ENCODING, "chunked");
        assert!(chunked.is_ok_and(|permit| permit.is_some()));
    }

    #[test]
    fn channel_reads_a_quarter_of_the_large_bodies() {
        let bodies = UnauthenticatedBodies::new();
        for is_kept in [true, false] {
            let mut permits: Vec<_> = (0..4)
                .map(|_| large(&bodies, "1", is_kept).unwrap())
                .collect();
            assert!(large(&bodies, "1", is_kept).is_none());
            assert!(large(&bodies, "2", is_kept).is_some());
            permits.pop();
            assert!(large(&bodies, "1", is_kept).is_some());
        }
        assert!(bodies.channels().is_empty());
    }

    #[test]
    fn bodies_that_are_not_kept_take_no_place_and_show_when_there_is_none() {
        let bodies = UnauthenticatedBodies::new();
        let channels: Vec<_> = (0..CONCURRENT_LARGE_BODIES)
            .map(|id| id.to_string())
            .collect();
        let dropped: Vec<_> = channels
            .iter()
            .map(|id| large(&bodies, id, false))
            .collect();
        assert!(dropped.iter().all(Option::is_some));
        let mut kept: Vec<_> = channels.iter().map(|id| large(&bodies, id, true)).collect();
        assert!(kept.iter().all(Option::is_some));
        for is_kept in [true, false] {
            assert!(large(&bodies, "other", is_kept).is_none());
        }
        kept.pop();
        for is_kept in [true, false] {
            assert!(large(&bodies, "other", is_kept).is_some());
        }
    }
}
