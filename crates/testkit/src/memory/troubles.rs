//! Troubles, the settings of their rules, and operator events.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use domain::page::{Page, PageSize};
use domain::trouble::rules::JournalUse;
use domain::trouble::{
    Snooze, StoredOperatorEvent, Trouble, TroubleId, TroubleKey, TroubleSettings, TroubleState,
};
use domain::{ChannelId, SubscriptionId, Timestamp};
use ports::StoreError;
use ports::troubles::{
    EvaluationLease, OperatorEventPosition, OperatorEvents, TroubleChanges, TroubleFilter,
    TroubleStore,
};

use super::MemoryStore;

#[derive(Debug, Default)]
pub(super) struct Troubles {
    entries: BTreeMap<TroubleId, Trouble>,
    holder: Option<(String, Instant)>,
    token: i64,
    settings: BTreeMap<Option<ChannelId>, TroubleSettings>,
    journals: BTreeMap<String, JournalUse>,
    events: Vec<StoredOperatorEvent>,
    last_sequence: i64,
    positions: BTreeMap<SubscriptionId, OperatorEventPosition>,
}

impl Troubles {
    fn save(&mut self, changes: &TroubleChanges) {
        for id in &changes.dropped {
            self.entries.remove(id);
        }
        for trouble in &changes.saved {
            let snooze = match self.entries.get(&trouble.id) {
                Some(stored) => stored.snooze.clone(),
                None => trouble.snooze.clone(),
            };
            let trouble = Trouble {
                snooze,
                ..trouble.clone()
            };
            self.entries.insert(trouble.id, trouble);
        }
        for event in &changes.events {
            self.last_sequence += 1;
            self.events.push(StoredOperatorEvent {
                sequence: self.last_sequence,
                event: event.clone(),
            });
        }
    }
}

const fn is_resolved(trouble: &Trouble) -> bool {
    matches!(trouble.state, TroubleState::Resolved { .. })
}

#[async_trait]
impl TroubleStore for MemoryStore {
    async fn lease_evaluation(
        &self,
        holder: &str,
        lease: Duration,
    ) -> Result<Option<EvaluationLease>, StoreError> {
        let mut data = self.open()?;
        let troubles = &mut data.troubles;
        let now = Instant::now();
        let held_by_another = troubles
            .holder
            .as_ref()
            .is_some_and(|(name, until)| name != holder && now < *until);
        if held_by_another {
            return Ok(None);
        }
        let is_new = troubles
            .holder
            .as_ref()
            .is_none_or(|(name, _)| name != holder);
        troubles.token += i64::from(is_new);
        troubles.holder = Some((holder.to_owned(), now + lease));
        let token = troubles.token;
        Ok(Some(EvaluationLease { token }))
    }

    async fn unresolved(&self) -> Result<Vec<Trouble>, StoreError> {
        let data = self.open()?;
        let all = data.troubles.entries.values();
        Ok(all.filter(|it| !is_resolved(it)).cloned().collect())
    }

    async fn lasting_snoozes(
        &self,
        now: Timestamp,
    ) -> Result<Vec<(TroubleKey, Snooze)>, StoreError> {
        let data = self.open()?;
        let mut last = BTreeMap::<TroubleKey, Snooze>::new();
        for trouble in data.troubles.entries.values() {
            let snooze = trouble.snooze.as_ref();
            let Some(snooze) = snooze.filter(|it| is_resolved(trouble) && it.lasts_at(now)) else {
                continue;
            };
            let known = last.get(&trouble.key);
            if known.is_none_or(|known| known.until < snooze.until) {
                last.insert(trouble.key.clone(), snooze.clone());
            }
        }
        Ok(last.into_iter().collect())
    }

    async fn save_troubles(
        &self,
        lease: &EvaluationLease,
        changes: &TroubleChanges,
    ) -> Result<bool, StoreError> {
        let mut data = self.open()?;
        if data.troubles.token != lease.token {
            return Ok(false);
        }
        data.troubles.save(changes);
        Ok(true)
    }

    async fn trouble(&self, id: TroubleId) -> Result<Option<Trouble>, StoreError> {
        Ok(self.open()?.troubles.entries.get(&id).cloned())
    }

    async fn troubles(
        &self,
        filter: &TroubleFilter,
        after: Option<TroubleId>,
        size: PageSize,
    ) -> Result<Page<Trouble, TroubleId>, StoreError> {
        let data = self.open()?;
        let found = data.troubles.entries.values().rev().filter(|trouble| {
            let channel = filter.channel.as_ref();
            trouble.state != TroubleState::Pending
                && after.is_none_or(|after| trouble.id < after)
                && filter
                    .resolved
                    .is_none_or(|resolved| resolved == is_resolved(trouble))
                && channel.is_none_or(|channel| trouble.key.subject.channel() == Some(channel))
        });
        let found = found.take(usize::from(size.get()) + 1).cloned().collect();
        Ok(Page::cut(found, size, |trouble: &Trouble| trouble.id))
    }

    async fn set_snooze(&self, id: TroubleId, snooze: Option<&Snooze>) -> Result<bool, StoreError> {
        let mut data = self.open()?;
        let trouble = data.troubles.entries.get_mut(&id);
        let Some(trouble) = trouble.filter(|it| !is_resolved(it)) else {
            return Ok(false);
        };
        trouble.snooze = snooze.cloned();
        Ok(true)
    }

    async fn trouble_settings(
        &self,
    ) -> Result<Vec<(Option<ChannelId>, TroubleSettings)>, StoreError> {
        let data = self.open()?;
        let settings = data.troubles.settings.iter();
        Ok(settings
            .map(|(channel, settings)| (channel.clone(), settings.clone()))
            .collect())
    }

    async fn set_trouble_settings(
        &self,
        channel: Option<&ChannelId>,
        settings: Option<&TroubleSettings>,
    ) -> Result<(), StoreError> {
        let mut data = self.open()?;
        let stored = &mut data.troubles.settings;
        if let Some(settings) = settings {
            stored.insert(channel.cloned(), settings.clone());
        } else {
            stored.remove(&channel.cloned());
        }
        Ok(())
    }

    async fn note_journal(&self, journal: &JournalUse) -> Result<(), StoreError> {
        let mut data = self.open()?;
        let receiver = journal.receiver.clone();
        data.troubles.journals.insert(receiver, journal.clone());
        Ok(())
    }

    async fn journals(&self, since: Timestamp) -> Result<Vec<JournalUse>, StoreError> {
        let data = self.open()?;
        let journals = data.troubles.journals.values();
        Ok(journals
            .filter(|journal| journal.last_used_at >= since)
            .cloned()
            .collect())
    }

    async fn prune_troubles(
        &self,
        before: Timestamp,
        limit: NonZeroU16,
    ) -> Result<u64, StoreError> {
        let mut data = self.open()?;
        let Troubles {
            entries,
            events,
            journals,
            ..
        } = &mut data.troubles;
        let limit = usize::from(limit.get());
        let mut old: Vec<_> = entries
            .values()
            .filter_map(|trouble| Some((trouble.state.resolved_at()?, trouble.id)))
            .filter(|(resolved_at, _)| *resolved_at < before)
            .collect();
        old.sort_unstable();
        old.truncate(limit);
        for (_, id) in &old {
            entries.remove(id);
        }
        let mut old_events: Vec<_> = events
            .iter()
            .filter(|stored| stored.event.at < before)
            .map(|stored| (stored.event.at, stored.sequence))
            .collect();
        old_events.sort_unstable();
        old_events.truncate(limit);
        events.retain(|it| !old_events.contains(&(it.event.at, it.sequence)));
        let old_journals: Vec<_> = journals
            .values()
            .filter(|journal| journal.last_used_at < before)
            .map(|journal| journal.receiver.clone())
            .take(limit)
            .collect();
        for receiver in &old_journals {
            journals.remove(receiver);
        }
        let pruned = old.len() + old_events.len() + old_journals.len();
        Ok(u64::try_from(pruned).expect("a count fits"))
    }
}

#[async_trait]
impl OperatorEvents for MemoryStore {
    async fn operator_events(
        &self,
        after: i64,
        size: PageSize,
    ) -> Result<Vec<StoredOperatorEvent>, StoreError> {
        let data = self.open()?;
        let events = data.troubles.events.iter();
        Ok(events
            .filter(|stored| stored.sequence > after)
            .take(usize::from(size.get()))
            .cloned()
            .collect())
    }

    async fn last_operator_event(&self, before: Timestamp) -> Result<i64, StoreError> {
        let data = self.open()?;
        let earlier = data.troubles.events.iter();
        let earlier = earlier.filter(|stored| stored.event.at < before);
        Ok(earlier.map(|stored| stored.sequence).max().unwrap_or(0))
    }

    async fn operator_event_positions(
        &self,
    ) -> Result<Vec<(SubscriptionId, OperatorEventPosition)>, StoreError> {
        let data = self.open()?;
        let positions = data.troubles.positions.iter();
        Ok(positions
            .map(|(subscription, position)| (*subscription, position.clone()))
            .collect())
    }

    async fn set_operator_event_position(
        &self,
        subscription: SubscriptionId,
        position: &OperatorEventPosition,
    ) -> Result<(), StoreError> {
        let mut data = self.open()?;
        let positions = &mut data.troubles.positions;
        let stored = positions.get(&subscription);
        if stored.is_none_or(|stored| stored.sequence <= position.sequence) {
            positions.insert(subscription, position.clone());
        }
        Ok(())
    }

    async fn retain_operator_event_positions(
        &self,
        subscriptions: &[SubscriptionId],
    ) -> Result<(), StoreError> {
        let mut data = self.open()?;
        let positions = &mut data.troubles.positions;
        positions.retain(|id, _| subscriptions.contains(id));
        Ok(())
    }
}
