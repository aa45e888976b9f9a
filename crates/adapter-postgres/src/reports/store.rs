//! The log of reports and the messages that follow from it.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use domain::page::{MessageCursor, MessageFilter, Page, PageSize};
use domain::{Effect, LoggedReport, Message, MessageKey, Report};
use ports::reports::{MessageWithReports, ReportStore};
use ports::{StoreError, error::Source};
use sqlx::{PgConnection, Postgres, QueryBuilder};

use crate::PostgresStore;
use crate::error::{cause, is_locked, store_error};
use crate::reports::locks;
use crate::reports::record::{self, BLOCK, BLOCKS};
use crate::retry;
use crate::rows::{MessageRow, ReportRow};
use crate::timeout::Operation as _;
use crate::{durability, encoding, failover};

/// How long a ping waits for a connection before it asks the server for the reason.
const CONNECTING: Duration = Duration::from_millis(800);

#[async_trait]
impl ReportStore for PostgresStore {
    async fn record(&self, reports: &[Report]) -> Result<Vec<Effect>, StoreError> {
        if reports.is_empty() {
            return Ok(Vec::new());
        }
        match retry::again(|| self.record_once(reports).in_time(&self.runtime)).await {
            Ok(effects) => Ok(effects),
            Err(error) if is_locked(&error) => Err(StoreError::Locked(cause(error))),
            Err(error) => Err(store_error("report")(self.explain(error).await)),
        }
    }

    async fn locked(&self, reports: &[Report]) -> Result<Vec<bool>, StoreError> {
        locks::locked(&self.pool, reports)
            .in_time(&self.runtime)
            .await
            .map_err(store_error("messages"))
    }

    async fn message(&self, key: &MessageKey) -> Result<Option<MessageWithReports>, StoreError> {
        let Some(row) = self
            .message_row(key)
            .in_time(&self.runtime)
            .await
            .map_err(store_error("messages"))?
        else {
            return Ok(None);
        };
        let reports = self
            .report_rows(&row)
            .in_time(&self.runtime)
            .await
            .map_err(store_error("reports"))?;
        Ok(Some(MessageWithReports {
            message: Message::try_from(row)?,
            reports: reports
                .into_iter()
                .map(LoggedReport::try_from)
                .collect::<Result<_, _>>()?,
        }))
    }

    async fn messages(
        &self,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: PageSize,
    ) -> Result<Page<Message, MessageCursor>, StoreError> {
        let rows: Vec<MessageRow> = page_of_messages(filter, after, size)
            .build_query_as()
            .fetch_all(&self.pool)
            .in_time(&self.runtime)
            .await
            .map_err(store_error("messages"))?;
        let messages: Vec<Message> = rows
            .into_iter()
            .map(Message::try_from)
            .collect::<Result<_, _>>()?;
        Ok(Page::cut(messages, size, |message| MessageCursor {
            first_reported_at: message.parties.first_reported_at,
            key: message.key.clone(),
        }))
    }

    async fn durability_warning(&self) -> Result<Option<String>, StoreError> {
        durability::durability_warning(&self.pool, &self.runtime, &self.timeouts).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.runtime.enter(self.try_ping()).await
    }
}

impl PostgresStore {
    async fn try_ping(&self) -> Result<(), StoreError> {
        // Callers wait two seconds at most; a refused connection is tried for longer.
        let connection = match self.pool.acquire().within(CONNECTING).await {
            Ok(connection) => Ok(connection),
            Err(sqlx::Error::Io(error)) if error.kind() == io::ErrorKind::TimedOut => {
                Err(self.explain(sqlx::Error::PoolTimedOut).await)
            }
            Err(error) => Err(self.explain(error).await),
        };
        let mut connection = connection.map_err(store_error("messages"))?;
        let found = sqlx::query!(
            r#"select current_setting('transaction_read_only') = 'off' as "writable!",
                   current_setting('server_encoding') as "encoding!"
               from (select from messages limit 0) as migrated right join (select) as one on true"#
        )
        .fetch_one(&mut *connection)
        .within(self.runtime.timeout)
        .await
        .map_err(store_error("messages"))?;
        encoding::is_supported(&found.encoding)?;
        if found.writable {
            Ok(())
        } else {
            failover::declare();
            Err(StoreError::Unavailable(Source::from(
                "the server takes no writes: it is a standby, or the database is read-only",
            )))
        }
    }

    async fn record_once(&self, reports: &[Report]) -> Result<Vec<Effect>, sqlx::Error> {
        let mut connection = self.recording.take(&self.pool).await?;
        let effects = Self::record_on(&mut connection, reports).await?;
        self.recording.keep(connection, &self.pool);
        Ok(effects)
    }

    async fn record_on(
        connection: &mut PgConnection,
        reports: &[Report],
    ) -> Result<Vec<Effect>, sqlx::Error> {
        if reports.len() <= BLOCK {
            return record::record(connection, reports, 0).await;
        }
        if reports.len() > BLOCK * BLOCKS {
            let words = "a batch has at most 65,536 reports";
            return Err(sqlx::Error::InvalidArgument(words.to_owned()));
        }
        let mut transaction = sqlx::Connection::begin(connection).await?;
        let mut effects = Vec::with_capacity(reports.len());
        for (block, nth) in reports.chunks(BLOCK).zip(0..) {
            effects.extend(record::record(&mut transaction, block, nth).await?);
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
            "select channel_id, sid, recipient, sender, first_reported_at, last_reported_at,
                 duplicates, seen_mask, accepted_at, scheduled_at, queued_at, sending_at, sent_at,
                 partially_delivered_at, canceled_at, failed_at, undelivered_at, delivered_at,
                 read_at, report_ids, seen_fingerprints, error_at, error_code, error_text
             from messages
             where channel_id = $1 and sid = $2",
            key.channel.as_str(),
            key.sid.to_compact(),
        )
        .fetch_optional(&self.pool)
        .await
    }

    /// The reports of a message. All of them arrived between its first and its last time, so
    /// that few partitions are asked.
    async fn report_rows(&self, message: &MessageRow) -> Result<Vec<ReportRow>, sqlx::Error> {
        sqlx::query_as!(
            ReportRow,
            r#"select id, arrived_at, credential_id, revision, channel_id, sid, status, effect,
                   recipient, sender, error_code, error_text, idempotency_token,
                   fields::text as "fields!"
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

fn page_of_messages(
    filter: &MessageFilter,
    after: Option<&MessageCursor>,
    size: PageSize,
) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(
        "select channel_id, sid, recipient, sender, first_reported_at, last_reported_at,
             duplicates, seen_mask, accepted_at, scheduled_at, queued_at, sending_at, sent_at,
             partially_delivered_at, canceled_at, failed_at, undelivered_at, delivered_at,
             read_at, report_ids, seen_fingerprints, error_at, error_code, error_text
         from messages
         where true",
    );
    if let Some(channel) = &filter.channel {
        query
            .push(" and channel_id = ")
            .push_bind(channel.as_str().to_owned());
    }
    if let Some(status) = filter.status {
        query
            .push(" and status_rank = ")
            .push_bind(i16::from(status.rank()));
    }
    if let Some(contradicted) = filter.contradicted {
        query
            .push(
                " and ((delivered_at is not null or read_at is not null)
                  and (failed_at is not null or undelivered_at is not null)) = ",
            )
            .push_bind(contradicted);
    }
    if let Some(recipient) = &filter.recipient {
        match recipient.key() {
            Some(key) => query
                .push(" and recipient_key(recipient) = ")
                .push_bind(key),
            None => query
                .push(" and canonical_recipient(recipient) = ")
                .push_bind(recipient.exactly().unwrap_or_default().to_owned()),
        };
    }
    if let Some(code) = &filter.error_code {
        query
            .push(" and error_code = ")
            .push_bind(code.as_str().to_owned());
    }
    if let Some(since) = filter.since {
        query
            .push(" and first_reported_at >= ")
            .push_bind(since.to_date_time());
    }
    if let Some(until) = filter.until {
        query
            .push(" and first_reported_at < ")
            .push_bind(until.to_date_time());
    }
    if let Some(after) = after {
        query
            .push(" and (first_reported_at, channel_id, sid) < (")
            .push_bind(after.first_reported_at.to_date_time())
            .push(", ")
            .push_bind(after.key.channel.as_str().to_owned())
            .push(", ")
            .push_bind(after.key.sid.to_compact())
            .push(")");
    }
    query
        .push(" order by first_reported_at desc, channel_id desc, sid desc limit ")
        .push_bind(i64::from(size.get()) + 1);
    query
}
