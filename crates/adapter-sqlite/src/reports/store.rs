//! The port `ReportStore`; its statements are in the other modules.

use std::num::NonZeroU16;

use async_trait::async_trait;
use domain::page::{MessageCursor, MessageFilter, Page, PageSize, ScanLimit};
use domain::{ChannelId, Effect, Message, MessageKey, Report};
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
        scan: ScanLimit,
    ) -> Result<Page<Message, MessageCursor>, StoreError> {
        let page = self.try_messages(filter, after, size, scan);
        let page = page.run(&self.runtime, "list messages", MESSAGES).await?;
        page.into_page(size)
    }

    async fn separate_messages(
        &self,
        channel: &ChannelId,
        aliases: NonZeroU16,
    ) -> Result<u64, StoreError> {
        let count = self.count_separate_messages(channel, aliases);
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
}
