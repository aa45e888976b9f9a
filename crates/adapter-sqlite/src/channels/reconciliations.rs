//! Accounts and figures of reconciliation, and the messages to compare.

use std::num::NonZeroU16;
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use domain::page::{MessageCursor, Page, PageSize};
use domain::reconciliation::{
    CallbackAlert, CallbackAlertCount, Reconciliation, ReconciliationAccount,
    ReconciliationProgress,
};
use domain::{ChannelId, DeliveryStatus, Message, MessageSid, Timestamp};
use ports::subscriptions::LEASE_MAX;
use ports::{ReconciliationStore, StoreError};
use sql_rows::callback_alerts::CALLBACK_ALERTS;
use sql_rows::corrupt;
use sql_rows::reconciliations::RECONCILIATIONS;

use crate::SqliteStore;
use crate::json;
use crate::rows::{MessageRow, ReconciliationRow};
use crate::runtime::Query as _;

const MESSAGES: &str = "messages";

#[async_trait]
impl ReconciliationStore for SqliteStore {
    async fn reconciliations(&self) -> Result<Vec<Reconciliation>, StoreError> {
        let rows = self.reconciliation_rows(None);
        let rows = rows
            .run(&self.runtime, "list reconciliations", RECONCILIATIONS)
            .await?;
        rows.into_iter().map(Reconciliation::try_from).collect()
    }

    async fn reconciliation(
        &self,
        channel: &ChannelId,
    ) -> Result<Option<Reconciliation>, StoreError> {
        let rows = self.reconciliation_rows(Some(channel));
        let rows = rows
            .run(&self.runtime, "find reconciliation", RECONCILIATIONS)
            .await?;
        rows.into_iter()
            .next()
            .map(Reconciliation::try_from)
            .transpose()
    }

    async fn set_reconciliation_account(
        &self,
        account: &ReconciliationAccount,
    ) -> Result<bool, StoreError> {
        let stored = self.upsert_account(account);
        stored
            .run(&self.runtime, "store account of channel", RECONCILIATIONS)
            .await
    }

    async fn remove_reconciliation_account(&self, channel: &ChannelId) -> Result<bool, StoreError> {
        let removed = self.delete_account(channel);
        removed
            .run(&self.runtime, "remove account of channel", RECONCILIATIONS)
            .await
    }

    async fn claim_reconciliation(
        &self,
        channel: &ChannelId,
        holder: &str,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        let claimed = self.try_claim_reconciliation(channel, holder, lease);
        claimed
            .run(&self.runtime, "lease reconciliation", RECONCILIATIONS)
            .await
    }

    async fn add_reconciliation_progress(
        &self,
        channel: &ChannelId,
        progress: &ReconciliationProgress,
    ) -> Result<bool, StoreError> {
        let added = self.add_progress(channel, progress);
        added
            .run(&self.runtime, "count reconciled messages", RECONCILIATIONS)
            .await
    }

    async fn unfinished_messages(
        &self,
        channel: &ChannelId,
        first_reported: &Range<Timestamp>,
        after: Option<&MessageCursor>,
        size: PageSize,
    ) -> Result<Page<Message, MessageCursor>, StoreError> {
        let rows = self.unfinished_rows(channel, first_reported, after, size);
        let rows = rows
            .run(&self.runtime, "list unfinished messages", MESSAGES)
            .await?;
        let messages = rows.into_iter().map(Message::try_from);
        let messages = messages.collect::<Result<_, _>>()?;
        Ok(Page::cut(messages, size, |message| MessageCursor {
            first_reported_at: message.parties.first_reported_at,
            key: message.key.clone(),
        }))
    }

    async fn known_messages(
        &self,
        channel: &ChannelId,
        sids: &[MessageSid],
    ) -> Result<Vec<Message>, StoreError> {
        let rows = self.known_rows(channel, sids);
        let rows = rows
            .run(&self.runtime, "find known messages", MESSAGES)
            .await?;
        rows.into_iter().map(Message::try_from).collect()
    }

    async fn add_callback_alerts(&self, alerts: &[CallbackAlert]) -> Result<(), StoreError> {
        let added = self.try_add_callback_alerts(alerts);
        added
            .run(&self.runtime, "store callback alerts", CALLBACK_ALERTS)
            .await
    }

    async fn channels_with_due_alerts(&self) -> Result<Vec<ChannelId>, StoreError> {
        let ids = self.channel_ids_with_due_alerts();
        let ids = ids
            .run(&self.runtime, "find due callback alerts", CALLBACK_ALERTS)
            .await?;
        let ids = ids.iter().map(|id| ChannelId::parse(id));
        ids.map(|id| id.map_err(corrupt(RECONCILIATIONS, "channel_id")))
            .collect()
    }

    async fn due_callback_alerts(
        &self,
        channel: &ChannelId,
        limit: NonZeroU16,
    ) -> Result<Vec<CallbackAlert>, StoreError> {
        let rows = self.due_alert_rows(channel, limit);
        let rows = rows
            .run(&self.runtime, "list due callback alerts", CALLBACK_ALERTS)
            .await?;
        rows.into_iter().map(CallbackAlert::try_from).collect()
    }

    async fn mark_alerts_looked_up(&self, alerts: &[CallbackAlert]) -> Result<(), StoreError> {
        let marked = self.try_mark_alerts(alerts);
        marked
            .run(&self.runtime, "mark callback alerts", CALLBACK_ALERTS)
            .await
    }

    async fn callback_alert_counts(
        &self,
        channel: &ChannelId,
        since: Timestamp,
    ) -> Result<Vec<CallbackAlertCount>, StoreError> {
        let rows = self.alert_count_rows(channel, since);
        let rows = rows
            .run(&self.runtime, "count callback alerts", CALLBACK_ALERTS)
            .await?;
        rows.into_iter().map(CallbackAlertCount::try_from).collect()
    }

    async fn prune_callback_alerts(
        &self,
        before: Timestamp,
        limit: NonZeroU16,
    ) -> Result<u64, StoreError> {
        let pruned = self.try_prune_alerts(before, limit);
        pruned
            .run(&self.runtime, "prune callback alerts", CALLBACK_ALERTS)
            .await
    }
}

impl SqliteStore {
    /// Returns the rows of one channel, or of all.
    async fn reconciliation_rows(
        &self,
        channel: Option<&ChannelId>,
    ) -> Result<Vec<ReconciliationRow>, sqlx::Error> {
        sqlx::query_as!(
            ReconciliationRow,
            "select channel_id, account_sid, api_key_sid, api_key_secret, changed_at, checked,
                 recovered, last_run_at, last_error, failing_since, checked_through, listed_at,
                 listed, lost
             from reconciliations
             where ?1 is null or channel_id = ?1
             order by channel_id",
            channel.map(ChannelId::as_str),
        )
        .fetch_all(&self.readers)
        .await
    }

    async fn upsert_account(&self, account: &ReconciliationAccount) -> Result<bool, sqlx::Error> {
        let mut write = self.begin().await?;
        let stored = sqlx::query!(
            "insert into reconciliations (
                 channel_id, account_sid, api_key_sid, api_key_secret, changed_at
             )
             select id, ?2, ?3, ?4, ?5 from channels where id = ?1
             on conflict (channel_id) do update set
                 account_sid = excluded.account_sid, api_key_sid = excluded.api_key_sid,
                 api_key_secret = excluded.api_key_secret, changed_at = excluded.changed_at,
                 last_error = null, failing_since = null",
            account.channel.as_str(),
            account.account.as_str(),
            account.api_key.as_str(),
            account.secret.0,
            account.changed_at.unix_micros(),
        )
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(stored.rows_affected() > 0)
    }

    async fn delete_account(&self, channel: &ChannelId) -> Result<bool, sqlx::Error> {
        let mut write = self.begin().await?;
        let removed = sqlx::query!(
            "delete from reconciliations where channel_id = ?1",
            channel.as_str(),
        )
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(removed.rows_affected() > 0)
    }

    async fn try_claim_reconciliation(
        &self,
        channel: &ChannelId,
        holder: &str,
        lease: Duration,
    ) -> Result<bool, sqlx::Error> {
        let mut write = self.begin().await?;
        let claimed = sqlx::query!(
            "update reconciliations
             set holder = ?2, free_at = (select now from clock) + ?3
             where channel_id = ?1
                 and (
                     holder is null or holder = ?2 or free_at <= (select now from clock)
                     -- A time further ahead than any lease lasts was written before the clock was
                     -- set back.
                     or free_at > (select now from clock) + ?4
                 )",
            channel.as_str(),
            holder,
            micros(lease),
            micros(LEASE_MAX),
        )
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(claimed.rows_affected() > 0)
    }

    async fn add_progress(
        &self,
        channel: &ChannelId,
        progress: &ReconciliationProgress,
    ) -> Result<bool, sqlx::Error> {
        let mut write = self.begin().await?;
        let added = sqlx::query!(
            "update reconciliations
             set checked = checked + ?2,
                 recovered = recovered + ?3,
                 last_run_at = case when ?9 then ?4 else last_run_at end,
                 -- Without a list these stay. The old values of `recovered` are read.
                 listed_at = case when ?7 is null then listed_at else ?4 end,
                 listed = coalesce(?7, listed),
                 lost = case
                     when ?7 is null then lost
                     else recovered + ?3 - recovered_before
                 end,
                 recovered_before = case
                     when ?7 is null then recovered_before
                     else recovered + ?3
                 end,
                 last_error = coalesce(?5, case when ?8 then null else last_error end),
                 -- The earlier one, the present time if it is null.
                 failing_since = case
                     when ?10 then null
                     when ?5 is null then failing_since
                     else min(coalesce(failing_since, ?4), ?4)
                 end,
                 -- The greater one; null if both are. A time in the future was written before the
                 -- clock was set back.
                 checked_through = case
                     when checked_through > ?4 and ?6 is not null then ?6
                     else max(coalesce(checked_through, ?6), coalesce(?6, checked_through))
                 end
             where channel_id = ?1",
            channel.as_str(),
            i64::try_from(progress.checked).unwrap_or(i64::MAX),
            i64::try_from(progress.recovered).unwrap_or(i64::MAX),
            progress.at.unix_micros(),
            progress.error,
            progress.checked_through.map(Timestamp::unix_micros),
            progress
                .listed
                .map(|listed| i64::try_from(listed).unwrap_or(i64::MAX)),
            progress.answered,
            progress.step.is_of_run(),
            progress.step.is_success(),
        )
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(added.rows_affected() > 0)
    }

    /// Returns one row more than a page has, if there are as many.
    async fn unfinished_rows(
        &self,
        channel: &ChannelId,
        first_reported: &Range<Timestamp>,
        after: Option<&MessageCursor>,
        size: PageSize,
    ) -> Result<Vec<MessageRow>, sqlx::Error> {
        // One lower bound for both the period and the cursor, so that the index begins at the page.
        let after_time = after.map_or(i64::MIN, |after| after.first_reported_at.unix_micros());
        let since = first_reported.start.unix_micros().max(after_time);
        sqlx::query_as!(
            MessageRow,
            "select channel_id, sid, recipient, sender, first_reported_at, last_reported_at,
                 duplicates, seen_mask, accepted_at, scheduled_at, queued_at, sending_at, sent_at,
                 partially_delivered_at, canceled_at, failed_at, undelivered_at, delivered_at,
                 read_at, report_ids, seen_fingerprints, error_at, error_code, error_text
             from messages
             where first_reported_at >= ?2 and first_reported_at < ?3
                 and channel_id = ?1
                 and (status_rank is null or status_rank < ?4)
                 and (?6 is null or first_reported_at > ?5 or sid > ?6)
             order by first_reported_at, sid
             limit ?7",
            channel.as_str(),
            since,
            first_reported.end.unix_micros(),
            i64::from(DeliveryStatus::FIRST_FINAL.rank()),
            after_time,
            after.map(|after| after.key.sid.to_compact()),
            i64::from(size.get()) + 1,
        )
        .fetch_all(&self.readers)
        .await
    }

    async fn known_rows(
        &self,
        channel: &ChannelId,
        sids: &[MessageSid],
    ) -> Result<Vec<MessageRow>, sqlx::Error> {
        let sids = json::array(sids.iter().map(|sid| json::hex(&sid.to_compact())));
        sqlx::query_as!(
            MessageRow,
            "select channel_id, sid, recipient, sender, first_reported_at, last_reported_at,
                 duplicates, seen_mask, accepted_at, scheduled_at, queued_at, sending_at, sent_at,
                 partially_delivered_at, canceled_at, failed_at, undelivered_at, delivered_at,
                 read_at, report_ids, seen_fingerprints, error_at, error_code, error_text
             from messages
             where channel_id = ?1 and sid in (select unhex(value) from json_each(?2))",
            channel.as_str(),
            sids,
        )
        .fetch_all(&self.readers)
        .await
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
