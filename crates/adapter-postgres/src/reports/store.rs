//! The port `ReportStore`; its statements are in the other modules.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroU16;
use std::time::Duration;

use async_trait::async_trait;
use domain::page::{MessageCursor, MessageFilter, Page, PageSize, ScanLimit};
use domain::{ChannelId, Effect, Message, MessageKey, MessageSid, Report};
use ports::reports::{MessageWithReports, ReportStore};
use ports::{StoreError, error::Source};
use sqlx::PgConnection;

use crate::PostgresStore;
use crate::error::{cause, is_locked, store_error};
use crate::reports::aliases::{self, MESSAGE_ALIASES};
use crate::reports::locks;
use crate::reports::record::{self, BLOCK_REPORTS, MAX_BLOCKS};
use crate::retry;
use crate::rows::{MessageRow, ReportRow};
use crate::runtime::{Operation as _, Query as _, traced};
use crate::{durability, encoding, failover};

/// How long a ping waits for a connection before it asks the server for the reason.
const PING_CONNECT_TIMEOUT: Duration = Duration::from_millis(800);

const MESSAGES: &str = "messages";

#[async_trait]
impl ReportStore for PostgresStore {
    async fn record(&self, reports: &[Report]) -> Result<Vec<Effect>, StoreError> {
        if reports.is_empty() {
            return Ok(Vec::new());
        }
        let (reports, aliases) = self.join_aliases(reports).await?;
        let recorded = retry::again(|| {
            self.record_once(&reports, &aliases)
                .in_time(&self.runtime, "record batch")
        });
        match recorded.await {
            Ok(effects) => Ok(effects),
            Err(error) if is_locked(&error) => Err(StoreError::Locked(cause(error))),
            Err(error) => Err(store_error("report")(self.explain(error).await)),
        }
    }

    async fn locked(&self, reports: &[Report]) -> Result<Vec<bool>, StoreError> {
        let (reports, _) = self.join_aliases(reports).await?;
        let locked = locks::locked(&self.pool, &reports);
        locked
            .run(&self.runtime, "find locked messages", MESSAGES)
            .await
    }

    async fn message(&self, key: &MessageKey) -> Result<Option<MessageWithReports>, StoreError> {
        let row = self.message_row(key);
        let row = row.run(&self.runtime, "read message", MESSAGES).await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let reports = self.report_rows(&row);
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

    async fn durability_warning(&self) -> Result<Option<String>, StoreError> {
        durability::durability_warning(&self.pool, &self.runtime, &self.timeouts).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        traced(&self.runtime, "ping", Box::pin(self.try_ping())).await
    }
}

impl PostgresStore {
    async fn try_ping(&self) -> Result<(), StoreError> {
        // Callers wait two seconds at most; the pool retries a refused connection for longer.
        let connection = match self.pool.acquire().within(PING_CONNECT_TIMEOUT).await {
            Ok(connection) => Ok(connection),
            Err(sqlx::Error::Io(error)) if error.kind() == io::ErrorKind::TimedOut => {
                Err(self.explain(sqlx::Error::PoolTimedOut).await)
            }
            Err(error) => Err(self.explain(error).await),
        };
        let mut connection = connection.map_err(store_error(MESSAGES))?;
        let found = sqlx::query!(
            r#"select current_setting('transaction_read_only') = 'off' as "writable!",
                   current_setting('server_encoding') as "encoding!"
               from (select from messages limit 0) as migrated right join (select) as one on true"#
        )
        .fetch_one(&mut *connection)
        .within(self.runtime.timeout)
        .await
        .map_err(store_error(MESSAGES))?;
        encoding::is_supported(&found.encoding)?;
        if found.writable {
            Ok(())
        } else {
            failover::discard_connections();
            Err(StoreError::Unavailable(Source::from(
                "the server accepts no writes: it is a standby, or the database is read-only",
            )))
        }
    }

    async fn record_once(
        &self,
        reports: &[Report],
        aliases: &BTreeMap<MessageKey, MessageSid>,
    ) -> Result<Vec<Effect>, sqlx::Error> {
        let mut connection = self.recording.take(&self.pool).await?;
        let effects = if aliases.is_empty() {
            Self::record_on(&mut connection, reports).await?
        } else {
            let mut transaction = sqlx::Connection::begin(&mut *connection).await?;
            let effects = Self::record_on(&mut transaction, reports).await?;
            aliases::insert(&mut transaction, aliases).await?;
            transaction.commit().await?;
            effects
        };
        self.recording.keep(connection, &self.pool);
        Ok(effects)
    }

    async fn record_on(
        connection: &mut PgConnection,
        reports: &[Report],
    ) -> Result<Vec<Effect>, sqlx::Error> {
        if reports.len() <= BLOCK_REPORTS {
            return record::record(connection, reports, 0).await;
        }
        if reports.len() > BLOCK_REPORTS * MAX_BLOCKS {
            let message = "a batch has at most 65,536 reports";
            return Err(sqlx::Error::InvalidArgument(message.to_owned()));
        }
        let mut transaction = sqlx::Connection::begin(connection).await?;
        let mut effects = Vec::with_capacity(reports.len());
        for (block, first_index) in reports
            .chunks(BLOCK_REPORTS)
            .zip((0..).step_by(BLOCK_REPORTS))
        {
            effects.extend(record::record(&mut transaction, block, first_index).await?);
        }
        transaction.commit().await?;
        Ok(effects)
    }

    pub(crate) async fn message_row(
        &self,
        key: &MessageKey,
    ) -> Result<Option<MessageRow>, sqlx::Error> {
        sqlx::query_as!(
            MessageRow,
            r#"select channel_id, sid, recipient, sender, first_reported_at, last_reported_at,
                 duplicates, seen_mask as "seen_mask: i64", accepted_at, scheduled_at, queued_at,
                 sending_at, sent_at, partially_delivered_at, canceled_at, failed_at, undelivered_at, delivered_at,
                 read_at, report_ids, seen_fingerprints, error_at, error_code, error_text
             from messages
             where channel_id = $1 and sid = $2"#,
            key.channel.as_str(),
            key.sid.to_compact(),
        )
        .fetch_optional(&self.pool)
        .await
    }

    /// Returns the reports of a message by revision. All arrived between its first and last time,
    /// which narrows the partitions searched.
    async fn report_rows(&self, message: &MessageRow) -> Result<Vec<ReportRow>, sqlx::Error> {
        sqlx::query_as!(
            ReportRow,
            r#"select id, arrived_at, credential_id, revision as "revision: i64", channel_id, sid,
                   status, effect,
                   recipient, sender, error_code, error_text, idempotency_token,
                   happened_at, fields::text as "fields!"
               from reports
               where id = any ($1) and arrived_at between $2 and $3
               order by revision"#,
            &message.report_ids,
            message.first_reported_at,
            message.last_reported_at,
        )
        .fetch_all(&self.pool)
        .await
    }
}
