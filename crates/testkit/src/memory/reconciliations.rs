//! Accounts and figures of reconciliation, and the messages to compare.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::ops::Range;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use domain::page::{MessageCursor, Page, PageSize};
use domain::reconciliation::{
    CallbackAlert, CallbackAlertCount, Reconciliation, ReconciliationAccount,
    ReconciliationFigures, ReconciliationProgress, latest_alerts,
};
use domain::{ChannelId, DeliveryStatus, Message, MessageKey, MessageSid, Timestamp};
use ports::{ReconciliationStore, StoreError};

use super::MemoryStore;

#[derive(Debug, Default)]
pub(super) struct Reconciliations {
    by_channel: BTreeMap<ChannelId, Stored>,
}

#[derive(Debug)]
struct Stored {
    reconciliation: Reconciliation,
    holder: Option<(String, Instant)>,
    /// How many reports were recovered when the list was last compared.
    recovered_before: u64,
}

impl Reconciliations {
    pub(super) fn remove(&mut self, channel: &ChannelId) -> bool {
        self.by_channel.remove(channel).is_some()
    }
}

#[async_trait]
impl ReconciliationStore for MemoryStore {
    async fn reconciliations(&self) -> Result<Vec<Reconciliation>, StoreError> {
        let data = self.open()?;
        let stored = data.reconciliations.by_channel.values();
        Ok(stored.map(|stored| stored.reconciliation.clone()).collect())
    }

    async fn reconciliation(
        &self,
        channel: &ChannelId,
    ) -> Result<Option<Reconciliation>, StoreError> {
        let data = self.open()?;
        let stored = data.reconciliations.by_channel.get(channel);
        Ok(stored.map(|stored| stored.reconciliation.clone()))
    }

    async fn set_reconciliation_account(
        &self,
        account: &ReconciliationAccount,
    ) -> Result<bool, StoreError> {
        let mut data = self.open()?;
        if !data.channels.contains(&account.channel) {
            return Ok(false);
        }
        let by_channel = &mut data.reconciliations.by_channel;
        let stored = by_channel
            .entry(account.channel.clone())
            .or_insert_with(|| Stored {
                reconciliation: Reconciliation {
                    account: account.clone(),
                    figures: ReconciliationFigures::default(),
                },
                holder: None,
                recovered_before: 0,
            });
        stored.reconciliation.account = account.clone();
        stored.reconciliation.figures.last_error = None;
        stored.reconciliation.figures.failing_since = None;
        Ok(true)
    }

    async fn remove_reconciliation_account(&self, channel: &ChannelId) -> Result<bool, StoreError> {
        Ok(self.open()?.reconciliations.remove(channel))
    }

    async fn claim_reconciliation(
        &self,
        channel: &ChannelId,
        holder: &str,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        let mut data = self.open()?;
        let Some(stored) = data.reconciliations.by_channel.get_mut(channel) else {
            return Ok(false);
        };
        let now = Instant::now();
        let held = stored.holder.as_ref();
        if held.is_some_and(|(name, until)| name != holder && now < *until) {
            return Ok(false);
        }
        stored.holder = Some((holder.to_owned(), now + lease));
        Ok(true)
    }

    async fn add_reconciliation_progress(
        &self,
        channel: &ChannelId,
        progress: &ReconciliationProgress,
    ) -> Result<bool, StoreError> {
        let mut data = self.open()?;
        let Some(stored) = data.reconciliations.by_channel.get_mut(channel) else {
            return Ok(false);
        };
        let figures = &mut stored.reconciliation.figures;
        figures.checked += progress.checked;
        figures.recovered += progress.recovered;
        if progress.step.is_of_run() {
            figures.last_run_at = Some(progress.at);
        }
        if progress.step.is_success() {
            figures.failing_since = None;
        } else if progress.error.is_some() {
            let since = figures.failing_since.unwrap_or(progress.at);
            figures.failing_since = Some(since.min(progress.at));
        }
        if progress.answered || progress.error.is_some() {
            figures.last_error.clone_from(&progress.error);
        }
        let through = figures.checked_through.filter(|it| *it <= progress.at);
        if progress.checked_through.is_some() {
            figures.checked_through = through.max(progress.checked_through);
        }
        if let Some(listed) = progress.listed {
            figures.listed_at = Some(progress.at);
            figures.listed = listed;
            figures.lost = figures.recovered - stored.recovered_before;
            stored.recovered_before = figures.recovered;
        }
        Ok(true)
    }

    async fn unfinished_messages(
        &self,
        channel: &ChannelId,
        first_reported: &Range<Timestamp>,
        after: Option<&MessageCursor>,
        size: PageSize,
    ) -> Result<Page<Message, MessageCursor>, StoreError> {
        let place = |message: &Message| {
            let at = message.parties.first_reported_at;
            (at, message.key.sid.to_compact())
        };
        let after = after.map(|after| (after.first_reported_at, after.key.sid.to_compact()));
        let data = self.open()?;
        let kept = data.reports.messages.values().map(|kept| &kept.message);
        let mut found: Vec<Message> = kept
            .filter(|message| message.key.channel == *channel)
            .filter(|message| first_reported.contains(&message.parties.first_reported_at))
            .filter(|message| !message.state.status().is_some_and(DeliveryStatus::is_final))
            .filter(|message| after.as_ref().is_none_or(|after| place(message) > *after))
            .cloned()
            .collect();
        found.sort_by_key(place);
        Ok(Page::cut(found, size, |message| MessageCursor {
            first_reported_at: message.parties.first_reported_at,
            key: message.key.clone(),
        }))
    }

    async fn known_messages(
        &self,
        channel: &ChannelId,
        sids: &[MessageSid],
    ) -> Result<Vec<Message>, StoreError> {
        let data = self.open()?;
        let messages = sids.iter().filter_map(|sid| {
            let key = MessageKey {
                channel: channel.clone(),
                sid: sid.clone(),
            };
            data.reports.messages.get(&key)
        });
        Ok(messages.map(|kept| kept.message.clone()).collect())
    }

    async fn add_callback_alerts(&self, alerts: &[CallbackAlert]) -> Result<(), StoreError> {
        let data = &mut *self.open()?;
        for alert in latest_alerts(alerts) {
            if data.channels.contains(&alert.channel) {
                data.callback_alerts.add(alert);
            }
        }
        Ok(())
    }

    async fn channels_with_due_alerts(&self) -> Result<Vec<ChannelId>, StoreError> {
        let data = self.open()?;
        let channels = data.reconciliations.by_channel.keys();
        let due = channels.filter(|channel| !data.callback_alerts.due(channel).is_empty());
        Ok(due.cloned().collect())
    }

    async fn due_callback_alerts(
        &self,
        channel: &ChannelId,
        limit: NonZeroU16,
    ) -> Result<Vec<CallbackAlert>, StoreError> {
        let mut due = self.open()?.callback_alerts.due(channel);
        due.truncate(limit.get().into());
        Ok(due)
    }

    async fn mark_alerts_looked_up(&self, alerts: &[CallbackAlert]) -> Result<(), StoreError> {
        let mut data = self.open()?;
        for alert in alerts {
            data.callback_alerts.mark(alert);
        }
        Ok(())
    }

    async fn callback_alert_counts(
        &self,
        channel: &ChannelId,
        since: Timestamp,
    ) -> Result<Vec<CallbackAlertCount>, StoreError> {
        Ok(self.open()?.callback_alerts.counts(channel, since))
    }

    async fn prune_callback_alerts(
        &self,
        before: Timestamp,
        limit: NonZeroU16,
    ) -> Result<u64, StoreError> {
        Ok(self.open()?.callback_alerts.prune(before, limit))
    }
}
