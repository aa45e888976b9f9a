//! The report log and the messages derived from it.

use async_trait::async_trait;
use domain::crypto::RecipientHash;
use domain::page::{MessageCursor, MessageFilter, Page, PageSize};
use domain::{ChannelId, Effect, ErrorCode, Message, MessageKey, Recipient, Report, Timestamp};
use ports::StoreError;
use ports::reports::{MessageWithReports, ReportStore};
use uuid::Uuid;

use crate::SqliteStore;
use crate::error::store_error;
use crate::reports::aliases::MESSAGE_ALIASES;
use crate::reports::record::record;
use crate::rows::{MessageRow, ReportRow};
use crate::runtime::{Query as _, traced};

const MESSAGES: &str = "messages";

/// Asks for one row more than a page has.
///
/// One statement for all filters: the list is read along its one index in any case, and an absent
/// filter costs a comparison with null.
macro_rules! page_of_rows {
    (from $from:tt, $filter:ident, $after:ident, $size:ident $(, $hash:expr)?) => {{
        // One range for both the filter and the cursor, so that the index begins at the page.
        let oldest = $filter.since.map_or(i64::MIN, Timestamp::unix_micros);
        let before = $filter.until.map_or(i64::MAX, Timestamp::unix_micros);
        let after_time = $after.map_or(i64::MAX, |after: &MessageCursor| after.first_reported_at.unix_micros());
        let newest = before.saturating_sub(1).min(after_time);
        sqlx::query_as!(
            MessageRow,
            "select channel_id, sid, recipient, sender, first_reported_at, last_reported_at,
                 duplicates, seen_mask, accepted_at, scheduled_at, queued_at, sending_at, sent_at,
                 partially_delivered_at, canceled_at, failed_at, undelivered_at, delivered_at,
                 read_at, report_ids, seen_fingerprints, error_at, error_code, error_text
             from "
                + $from
                + " where first_reported_at between ?1 and ?2
                 and (?4 is null or first_reported_at < ?3 or (channel_id, sid) < (?4, ?5))
                 and (?6 is null or channel_id = ?6)
                 and (?7 is null or status_rank = ?7)
                 and (
                     ?8 is null
                     or ?8 = (
                         (delivered_at is not null or read_at is not null)
                         and (failed_at is not null or undelivered_at is not null)
                     )
                 )
                 -- As `Recipient::is`: either the number without its separators,
                 and (
                     ?9 is null
                     or ?9 = replace(replace(replace(replace(replace(replace(replace(replace(
                         substr(recipient, instr(recipient, ':') + 1),
                         ' ', ''), '+', ''), '-', ''), '(', ''), ')', ''), '.', ''), '/', ''),
                         char(160), '')
                 )
                 -- or the canonical form.
                 and (
                     ?10 is null
                     or ?10 = lower(trim(
                         substr(recipient, 1, instr(recipient, ':') - 1), ' ' || char(160)
                     ))
                     || substr(':', 1, instr(recipient, ':'))
                     || trim(
                         substr(recipient, instr(recipient, ':') + 1), ' ' || char(160)
                     )
                 )
                 and (?11 is null or error_code = ?11)
             order by first_reported_at desc, channel_id desc, sid desc
             limit ?12",
            oldest,
            newest,
            after_time,
            $after.map(|after: &MessageCursor| after.key.channel.as_str()),
            $after.map(|after: &MessageCursor| after.key.sid.to_compact()),
            $filter.channel.as_ref().map(ChannelId::as_str),
            $filter.status.map(|status| i64::from(status.rank())),
            $filter.contradicted,
            $filter.recipient.as_ref().and_then(Recipient::key),
            $filter.recipient.as_ref().and_then(Recipient::exactly),
            $filter.error_code.as_ref().map(ErrorCode::as_str),
            i64::from($size.get()) + 1,
            $($hash)?
        )
    }};
}

#[async_trait]
impl ReportStore for SqliteStore {
    async fn record(&self, reports: &[Report]) -> Result<Vec<Effect>, StoreError> {
        if reports.is_empty() {
            return Ok(Vec::new());
        }
        traced(&self.runtime, "record batch", self.try_record(reports)).await
    }

    async fn message(&self, key: &MessageKey) -> Result<Option<MessageWithReports>, StoreError> {
        let row = self.message_row(key);
        let row = row.run(&self.runtime, "read message", MESSAGES).await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let reports = self.report_rows(&row.report_ids);
        let reports = reports
            .run(&self.runtime, "read reports of message", "reports")
            .await?;
        let alias_of = self.alias_of(key);
        let alias_of = alias_of
            .run(&self.runtime, "find alias", MESSAGE_ALIASES)
            .await?;
        row.with_reports(reports, alias_of.as_deref()).map(Some)
    }

    async fn messages(
        &self,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: PageSize,
    ) -> Result<Page<Message, MessageCursor>, StoreError> {
        let rows = self.page_of_rows(filter, after, size);
        let rows = rows.run(&self.runtime, "list messages", MESSAGES).await?;
        let messages = rows.into_iter().map(Message::try_from);
        let messages = messages.collect::<Result<_, _>>()?;
        Ok(Page::cut(messages, size, |message| MessageCursor {
            first_reported_at: message.parties.first_reported_at,
            key: message.key.clone(),
        }))
    }

    async fn separate_messages(&self, channel: &ChannelId) -> Result<u64, StoreError> {
        let count = self.count_separate_messages(channel);
        let count = count
            .run(&self.runtime, "count separate messages", MESSAGE_ALIASES)
            .await?;
        Ok(count.unsigned_abs())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let ping = self.try_ping();
        ping.run(&self.runtime, "ping", MESSAGES).await
    }
}

impl SqliteStore {
    async fn try_record(&self, reports: &[Report]) -> Result<Vec<Effect>, StoreError> {
        let (reports, new_aliases) = self.join_aliases(reports).await?;
        let write = self.begun_by_text().await;
        let mut write = write.map_err(store_error("reports"))?;
        match record(&mut write, &reports, &new_aliases).await {
            Ok(effects) => {
                write.committed();
                Ok(effects)
            }
            Err(error) => {
                // A rejected batch is bisected, so its price counts. After any other failure the
                // state of the connection is unknown, and it is not used again.
                if matches!(error, StoreError::Rejected { .. }) {
                    write.roll_back().await;
                }
                Err(error)
            }
        }
    }

    /// Locks, reads the tables and commits a change: a full disk is noticed only by a commit that
    /// writes.
    async fn try_ping(&self) -> Result<(), sqlx::Error> {
        let mut write = self.begin().await?;
        sqlx::query_scalar!(r#"select exists (select 1 from messages) as "any!: bool""#)
            .fetch_one(&mut *write)
            .await?;
        // A number in the file that nothing else uses. It alternates, because an unchanged value
        // is not written.
        let before: i64 = sqlx::query_scalar("pragma user_version")
            .fetch_one(&mut *write)
            .await?;
        let change = if before == 0 {
            "pragma user_version = 1"
        } else {
            "pragma user_version = 0"
        };
        sqlx::query(change).execute(&mut *write).await?;
        write.commit().await
    }

    pub(crate) async fn message_row(
        &self,
        key: &MessageKey,
    ) -> Result<Option<MessageRow>, sqlx::Error> {
        sqlx::query_as!(
            MessageRow,
            "select channel_id, sid, recipient, sender, first_reported_at, last_reported_at,
                 duplicates, seen_mask, accepted_at, scheduled_at, queued_at, sending_at, sent_at,
                 partially_delivered_at, canceled_at, failed_at, undelivered_at, delivered_at,
                 read_at, report_ids, seen_fingerprints, error_at, error_code, error_text
             from messages
             where channel_id = ? and sid = ?",
            key.channel.as_str(),
            key.sid.to_compact(),
        )
        .fetch_optional(&self.readers)
        .await
    }

    /// Returns the reports whose ids are in a JSON array, in its order.
    pub(crate) async fn report_rows(&self, ids: &str) -> Result<Vec<ReportRow>, sqlx::Error> {
        sqlx::query_as!(
            ReportRow,
            r#"select report.id, report.channel_id, report.sid, report.revision, report.effect,
                   report.status, report.recipient, report.sender, report.arrived_at,
                   report.credential_id as "credential_id: Uuid", report.error_code, report.error_text,
                   report.idempotency_token, report.happened_at, report.fields
               from json_each(?) as place
               cross join reports as report on report.id = place.value
               order by place.key"#,
            ids,
        )
        .fetch_all(&self.readers)
        .await
    }

    /// Returns one row more than a page has, if there are as many.
    async fn page_of_rows(
        &self,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: PageSize,
    ) -> Result<Vec<MessageRow>, sqlx::Error> {
        page_of_rows!(from "messages", filter, after, size)
            .fetch_all(&self.readers)
            .await
    }

    /// The same for the messages that are listed with a hash.
    pub(crate) async fn rows_of_recipient(
        &self,
        hash: RecipientHash,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: PageSize,
    ) -> Result<Vec<MessageRow>, sqlx::Error> {
        // Reads the messages of the hash first, and sorts them.
        page_of_rows!(
            from "(
                select message.*
                from message_recipients as entry
                cross join messages as message
                    on message.channel_id = entry.channel_id and message.sid = entry.sid
                where entry.recipient_hash = ?13
            )",
            filter,
            after,
            size,
            hash.0
        )
        .fetch_all(&self.readers)
        .await
    }
}
