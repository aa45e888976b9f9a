//! Forgetting a person.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use async_trait::async_trait;
use domain::page::{Page, PageSize};
use domain::{Erasure, ErasureId, MessageKey, Recipient, Report, Timestamp};
use ports::StoreError;
use ports::erasures::ErasureOrder;

use super::reports::{Reports, place};
use super::{Data, MemoryStore};

#[derive(Debug, Default)]
pub(super) struct Erasures(BTreeMap<ErasureId, Kept>);

#[derive(Debug)]
struct Kept {
    erasure: Erasure,
    /// `None` when it is finished.
    addressee: Option<Recipient>,
    /// How far the log was looked through; `None` when that is done.
    log_after: Option<i64>,
    /// The message that was looked at last.
    before: Option<(Timestamp, MessageKey)>,
}

/// What one look has found.
struct Found {
    messages: BTreeSet<MessageKey>,
    looked_at: usize,
}

impl Kept {
    fn look(&mut self, addressee: &Recipient, reports: &Reports, budget: usize) -> Found {
        if let Some(after) = self.log_after {
            self.look_at_log(after, addressee, reports, budget)
        } else {
            self.look_at_messages(addressee, reports, budget)
        }
    }

    fn look_at_log(
        &mut self,
        after: i64,
        addressee: &Recipient,
        reports: &Reports,
        budget: usize,
    ) -> Found {
        let is_named = |report: &Report| {
            addressee.is(report.recipient.reveal()) || addressee.is_in(report.fields.as_json())
        };
        let next = reports.log.range(after.saturating_add(1)..);
        let next: Vec<_> = next.take(budget).collect();
        let last = next.last().filter(|_| next.len() == budget);
        self.log_after = last.map(|(id, _)| **id);
        let named = next.iter().filter(|(_, it)| is_named(&it.report));
        Found {
            messages: named.map(|(_, it)| it.report.key.clone()).collect(),
            looked_at: next.len(),
        }
    }

    fn look_at_messages(
        &mut self,
        addressee: &Recipient,
        reports: &Reports,
        budget: usize,
    ) -> Found {
        let before = self.before.as_ref();
        let before = before.map(|(first, key)| place(*first, key));
        let mut next: Vec<_> = reports
            .messages
            .values()
            .map(|kept| &kept.message)
            .map(|message| {
                let place = place(message.parties.first_reported_at, &message.key);
                (place, message)
            })
            .filter(|(place, _)| before.as_ref().is_none_or(|before| place < before))
            .collect();
        next.sort_by(|(a, _), (b, _)| Reverse(a).cmp(&Reverse(b)));
        next.truncate(budget);
        let last = next.last().map(|(_, message)| message);
        let last = last.map(|message| (message.parties.first_reported_at, message.key.clone()));
        let named = next
            .iter()
            .filter(|(_, message)| addressee.is(message.parties.recipient.reveal()));
        let found = Found {
            messages: named.map(|(_, message)| message.key.clone()).collect(),
            looked_at: next.len(),
        };
        self.before = last;
        found
    }
}

impl Reports {
    /// Erases messages and their reports; how many of either.
    fn erase(&mut self, messages: &BTreeSet<MessageKey>) -> (u64, u64) {
        let mut erased = (0, 0);
        for key in messages {
            if let Some(kept) = self.messages.get_mut(key) {
                kept.message.erase();
                erased.0 += 1;
            }
        }
        for logged in self.log.values_mut() {
            if messages.contains(&logged.report.key) {
                logged.report.erase();
                erased.1 += 1;
            }
        }
        erased
    }
}

#[async_trait]
impl ports::Erasures for MemoryStore {
    async fn begin(
        &self,
        id: ErasureId,
        asked: &ErasureOrder,
        addressee: &Recipient,
    ) -> Result<(), StoreError> {
        let mut data = self.open()?;
        data.erasures.0.entry(id).or_insert_with(|| Kept {
            erasure: Erasure {
                id,
                asked_at: asked.at,
                asked_through: asked.through,
                reason: asked.reason.clone(),
                masked: addressee.to_string(),
                looked_at: 0,
                messages: 0,
                reports: 0,
                deliveries: 0,
                finished_at: None,
            },
            addressee: Some(addressee.clone()),
            log_after: Some(0),
            before: None,
        });
        Ok(())
    }

    async fn step(
        &self,
        id: ErasureId,
        budget: NonZeroU32,
        now: Timestamp,
    ) -> Result<Option<Erasure>, StoreError> {
        let mut data = self.open()?;
        let Data {
            erasures,
            reports,
            subscriptions,
            ..
        } = &mut *data;
        let Some(kept) = erasures.0.get_mut(&id) else {
            return Ok(None);
        };
        let Some(addressee) = kept.addressee.clone() else {
            return Ok(Some(kept.erasure.clone()));
        };
        let in_log = kept.log_after.is_some();
        let budget = usize::try_from(budget.get()).unwrap_or(usize::MAX);
        let found = kept.look(&addressee, reports, budget);
        let erasure = &mut kept.erasure;
        erasure.looked_at += u64::try_from(found.looked_at).unwrap_or(u64::MAX);
        if !found.messages.is_empty() {
            let (messages, logged) = reports.erase(&found.messages);
            erasure.messages += messages;
            erasure.reports += logged;
            let keys: Vec<_> = found.messages.into_iter().collect();
            erasure.deliveries += subscriptions.forget_bodies(&keys, now);
        }
        if !in_log && found.looked_at < budget {
            erasure.finished_at = Some(now);
            kept.addressee = None;
        }
        Ok(Some(kept.erasure.clone()))
    }

    async fn unfinished(&self) -> Result<Option<ErasureId>, StoreError> {
        let data = self.open()?;
        let mut all = data.erasures.0.values();
        let first = all.find(|kept| kept.erasure.finished_at.is_none());
        Ok(first.map(|kept| kept.erasure.id))
    }

    async fn find(&self, id: ErasureId) -> Result<Option<Erasure>, StoreError> {
        let data = self.open()?;
        Ok(data.erasures.0.get(&id).map(|kept| kept.erasure.clone()))
    }

    async fn list(
        &self,
        after: Option<ErasureId>,
        size: PageSize,
    ) -> Result<Page<Erasure, ErasureId>, StoreError> {
        let data = self.open()?;
        let all = data.erasures.0.values().rev();
        let next = all.filter(|kept| after.is_none_or(|after| kept.erasure.id < after));
        let next = next.take(usize::from(size.get()) + 1);
        let items = next.map(|kept| kept.erasure.clone()).collect();
        Ok(Page::cut(items, size, |erasure| erasure.id))
    }
}
