//! Erasing a recipient.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use domain::{Erasure, ErasureId, MessageKey, Recipient, Report, Timestamp};
use ports::maintenance::ErasureOrder;

use super::reports::{Reports, place};
use super::subscriptions::Subscriptions;

/// An erasure and how far it has got.
#[derive(Debug)]
pub(super) struct ErasureProgress {
    pub(super) erasure: Erasure,
    /// `None` when it is finished.
    recipient: Option<Recipient>,
    /// How far the log was scanned; `None` when that is done.
    log_after: Option<i64>,
    /// The message that was examined last.
    before: Option<(Timestamp, MessageKey)>,
}

/// What one step has found.
struct Matches {
    messages: BTreeSet<MessageKey>,
    looked_at: usize,
}

impl ErasureProgress {
    pub(super) fn new(id: ErasureId, order: &ErasureOrder, recipient: &Recipient) -> Self {
        Self {
            erasure: Erasure {
                id,
                asked_at: order.at,
                asked_through: order.through,
                reason: order.reason.clone(),
                masked: recipient.to_string(),
                looked_at: 0,
                messages: 0,
                reports: 0,
                deliveries: 0,
                finished_at: None,
            },
            recipient: Some(recipient.clone()),
            log_after: Some(0),
            before: None,
        }
    }

    /// Examines at most `budget` messages or reports and erases what matches.
    pub(super) fn step(
        &mut self,
        reports: &mut Reports,
        subscriptions: &mut Subscriptions,
        budget: usize,
        now: Timestamp,
    ) {
        let Some(recipient) = self.recipient.clone() else {
            return;
        };
        let in_log = self.log_after.is_some();
        let found = self.look(&recipient, reports, budget);
        let erasure = &mut self.erasure;
        erasure.looked_at += u64::try_from(found.looked_at).unwrap_or(u64::MAX);
        if !found.messages.is_empty() {
            let (messages, logged) = reports.erase(&found.messages);
            erasure.messages += messages;
            erasure.reports += logged;
            let keys: Vec<_> = found.messages.into_iter().collect();
            erasure.deliveries += subscriptions.erase_deliveries(&keys, now);
        }
        if !in_log && found.looked_at < budget {
            erasure.finished_at = Some(now);
            self.recipient = None;
        }
    }

    fn look(&mut self, recipient: &Recipient, reports: &Reports, budget: usize) -> Matches {
        if let Some(after) = self.log_after {
            self.look_at_log(after, recipient, reports, budget)
        } else {
            self.look_at_messages(recipient, reports, budget)
        }
    }

    fn look_at_log(
        &mut self,
        after: i64,
        recipient: &Recipient,
        reports: &Reports,
        budget: usize,
    ) -> Matches {
        let is_named = |report: &Report| {
            recipient.is(report.recipient.reveal()) || recipient.is_in(report.fields.as_json())
        };
        let next = reports.log.range(after.saturating_add(1)..);
        let next: Vec<_> = next.take(budget).collect();
        let last = next.last().filter(|_| next.len() == budget);
        self.log_after = last.map(|(id, _)| **id);
        let named = next.iter().filter(|(_, it)| is_named(&it.report));
        Matches {
            messages: named.map(|(_, it)| it.report.key.clone()).collect(),
            looked_at: next.len(),
        }
    }

    fn look_at_messages(
        &mut self,
        recipient: &Recipient,
        reports: &Reports,
        budget: usize,
    ) -> Matches {
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
            .filter(|(_, message)| recipient.is(message.parties.recipient.reveal()));
        let found = Matches {
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
            self.forget_aliases(key);
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
