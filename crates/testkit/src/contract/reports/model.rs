//! The state that the domain computes for a history, to compare with a store's.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use domain::page::{MessageFilter, PageSize, ScanLimit};
use domain::{Effect, Message, MessageKey, Report};
use ports::ReportStore;

/// The messages of a history.
#[derive(Default)]
pub(super) struct Model(BTreeMap<MessageKey, RecordedMessage>);

/// A message, and its log: revision, effect and report.
struct RecordedMessage {
    message: Message,
    log: Vec<(i64, Effect, Report)>,
}

impl Model {
    /// Creates the model of a history that was recorded in this order.
    pub(super) fn of<'a>(reports: impl IntoIterator<Item = &'a Report>) -> Self {
        let mut model = Self::default();
        for report in reports {
            model.absorb(report);
        }
        model
    }

    /// Records a batch and returns the effect of each report.
    pub(super) fn record(&mut self, batch: &[Report]) -> Vec<Effect> {
        batch.iter().map(|report| self.absorb(report)).collect()
    }

    fn absorb(&mut self, report: &Report) -> Effect {
        let (entry, effect) = match self.0.entry(report.key.clone()) {
            Entry::Occupied(entry) => {
                let entry = entry.into_mut();
                let effect = entry.message.absorb(report);
                (entry, effect)
            }
            Entry::Vacant(entry) => {
                let (message, effect) = Message::begin(report);
                let log = Vec::new();
                (entry.insert(RecordedMessage { message, log }), effect)
            }
        };
        if effect != Effect::Duplicate {
            let revision = i64::try_from(entry.message.revision()).expect("few reports");
            entry.log.push((revision, effect, report.clone()));
        }
        effect
    }

    /// Returns the messages in the order of the list.
    pub(super) fn messages(&self) -> Vec<Message> {
        let mut messages: Vec<_> = self.0.values().map(|entry| entry.message.clone()).collect();
        messages.sort_by_key(|message| {
            let key = &message.key;
            let place = message.parties.first_reported_at;
            std::cmp::Reverse((place, key.channel.clone(), key.sid.to_compact()))
        });
        messages
    }

    /// Fails unless the store has the same state of every message.
    pub(super) async fn assert_is_in(&self, store: &dyn ReportStore) {
        for (key, RecordedMessage { message, log }) in &self.0 {
            let found = store.message(key).await.expect("a message can be read");
            let found = found.unwrap_or_else(|| panic!("{key:?} is there"));
            assert_eq!(&found.message, message);
            let found = found.reports.into_iter();
            let found: Vec<_> = found
                .map(|it| (it.revision, it.effect, it.report))
                .collect();
            assert_eq!(&found, log);
        }
        assert_eq!(
            list(store, &MessageFilter::default(), 100).await,
            self.messages()
        );
    }
}

/// Returns all messages that a filter lets through, read in pages of `size`.
pub(super) async fn list(
    store: &dyn ReportStore,
    filter: &MessageFilter,
    size: u16,
) -> Vec<Message> {
    let size = PageSize::new(size).expect("1 to 500");
    let mut messages = Vec::new();
    let mut after = None;
    loop {
        let page = store
            .messages(filter, after.as_ref(), size, ScanLimit::MAX)
            .await
            .expect("a page can be read");
        assert!(
            page.items.len() <= usize::from(size.get()),
            "no page is too long"
        );
        messages.extend(page.items);
        after = page.next;
        if after.is_none() {
            return messages;
        }
    }
}

/// Records a batch that must be taken.
pub(in crate::contract) async fn record(store: &dyn ReportStore, batch: &[Report]) -> Vec<Effect> {
    let effects = store.record(batch).await.expect("the batch is taken");
    assert_eq!(effects.len(), batch.len(), "one effect for each report");
    effects
}

/// Returns a message that must be there, alone.
pub(super) async fn message(store: &dyn ReportStore, key: &MessageKey) -> Message {
    let found = store.message(key).await.expect("a message can be read");
    found.expect("the message is there").message
}
