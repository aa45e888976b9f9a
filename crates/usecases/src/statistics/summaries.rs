//! What is known of messages whose reports arrived lately.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState};

use domain::MessageKey;
use domain::statistics::MessageSummary;

/// Messages in a generation: those of some seconds at saturation, in about a megabyte. A hash table
/// of 16,384 places is full with so many.
const GENERATION: usize = 14_336;

/// Stands for a message. It is a hash with a random key, so two messages that have the same one,
/// which would be counted wrongly, do not occur in practice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct MessageDigest(u128);

/// Takes the last bits of a digest for its hash.
#[derive(Debug, Default)]
pub(super) struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, digest: u128) {
        self.0 = u64::try_from(digest & u128::from(u64::MAX)).unwrap_or_default();
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

type BuildDigestHasher = BuildHasherDefault<DigestHasher>;

/// A set of messages.
pub(super) type DigestSet = HashSet<MessageDigest, BuildDigestHasher>;

type Generation = HashMap<MessageDigest, MessageSummary, BuildDigestHasher>;

/// The summaries of messages that were reported on lately, so that the store need not be asked for
/// them. The least recently used ones are dropped, a generation at a time.
#[derive(Debug, Default)]
pub(super) struct RecentSummaries {
    keys: [RandomState; 2],
    young: Generation,
    old: Generation,
}

impl RecentSummaries {
    /// Returns what stands for a message here.
    pub(super) fn digest(&self, key: &MessageKey) -> MessageDigest {
        let [high, low] = &self.keys;
        let digest = u128::from(high.hash_one(key)) << 64 | u128::from(low.hash_one(key));
        MessageDigest(digest)
    }

    pub(super) fn contains(&self, message: MessageDigest) -> bool {
        self.young.contains_key(&message) || self.old.contains_key(&message)
    }

    /// Removes and returns the summary of a message.
    pub(super) fn take(&mut self, message: MessageDigest) -> Option<MessageSummary> {
        self.young
            .remove(&message)
            .or_else(|| self.old.remove(&message))
    }

    pub(super) fn insert(&mut self, message: MessageDigest, summary: MessageSummary) {
        if self.young.len() >= GENERATION {
            std::mem::swap(&mut self.old, &mut self.young);
            // Keeps its memory for the next generation.
            self.young.clear();
        }
        self.young.insert(message, summary);
    }
}

#[cfg(test)]
mod tests {
    use domain::statistics::StatusChange;
    use testkit::builders::{report, twilio_sid};

    use super::*;

    fn change(number: u64) -> StatusChange {
        let report = report(&twilio_sid(number)).build();
        StatusChange {
            position: domain::LogPosition::START,
            key: report.key,
            revision: 1,
            arrived_at: report.arrived_at,
            happened_at: report.happened_at,
            recipient: report.recipient,
            status: report.status,
            error: None,
        }
    }

    #[test]
    fn last_messages_are_remembered_and_the_first_are_dropped() {
        let mut recent = RecentSummaries::default();
        let messages: u64 = 3 * GENERATION as u64;
        for number in 0..messages {
            let change = change(number);
            let digest = recent.digest(&change.key);
            assert!(!recent.contains(digest));
            recent.insert(digest, MessageSummary::begin(&change));
        }
        let known = |number: u64| {
            let digest = recent.digest(&change(number).key);
            recent.contains(digest)
        };
        assert!((messages - GENERATION as u64..messages).all(known));
        assert!(!(0..GENERATION as u64).any(known));
        assert!(size_of::<MessageSummary>() <= 64);
    }
}
