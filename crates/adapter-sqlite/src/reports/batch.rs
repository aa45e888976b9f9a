//! A batch while it is folded: what it changes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use domain::{Effect, Message, MessageKey, Report};

/// What a batch changes. The messages are sorted, so that neighbours in the index are changed
/// together.
pub(crate) struct Batch<'a> {
    pub(crate) messages: BTreeMap<&'a MessageKey, StoredMessage>,
    pub(crate) log: Vec<NewReport<'a>>,
    /// The id of the newest report in the log.
    pub(crate) last_id: i64,
}

/// A message, and the ids of its reports in the log.
pub(crate) struct StoredMessage {
    pub(crate) message: Message,
    pub(crate) report_ids: Vec<i64>,
}

/// A report that is new to the log.
pub(crate) struct NewReport<'a> {
    pub(crate) id: i64,
    pub(crate) revision: u64,
    pub(crate) effect: Effect,
    /// Erased, if its message is.
    pub(crate) report: Cow<'a, Report>,
}

impl<'a> Batch<'a> {
    pub(crate) fn absorb(&mut self, report: &'a Report) -> Effect {
        let (stored, effect) = match self.messages.entry(&report.key) {
            Entry::Occupied(entry) => {
                let stored = entry.into_mut();
                let effect = stored.message.absorb(report);
                (stored, effect)
            }
            Entry::Vacant(entry) => {
                let (message, effect) = Message::begin(report);
                let report_ids = Vec::with_capacity(1);
                let stored = StoredMessage {
                    message,
                    report_ids,
                };
                (entry.insert(stored), effect)
            }
        };
        if effect != Effect::Duplicate {
            self.last_id = self.last_id.saturating_add(1);
            stored.report_ids.push(self.last_id);
            self.log.push(NewReport {
                id: self.last_id,
                revision: stored.message.revision(),
                effect,
                report: if stored.message.is_erased() {
                    Cow::Owned(report.erased())
                } else {
                    Cow::Borrowed(report)
                },
            });
        }
        effect
    }
}
