//! What is known of messages whose reports arrived lately.

use std::collections::HashMap;

use domain::MessageKey;
use domain::statistics::MessageSummary;

/// Messages in a generation: those of some seconds at saturation, in some megabytes.
const GENERATION: usize = 16_384;

/// The summaries of messages that were reported on lately, so that the store need not be asked for
/// them. The least recently used ones are dropped, a generation at a time.
#[derive(Debug, Default)]
pub(super) struct RecentSummaries {
    young: HashMap<MessageKey, MessageSummary>,
    old: HashMap<MessageKey, MessageSummary>,
}

impl RecentSummaries {
    pub(super) fn contains(&self, key: &MessageKey) -> bool {
        self.young.contains_key(key) || self.old.contains_key(key)
    }

    /// Removes and returns the summary of a message.
    pub(super) fn take(&mut self, key: &MessageKey) -> Option<MessageSummary> {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }

    pub(super) fn insert(&mut self, key: MessageKey, summary: MessageSummary) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, summary);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
