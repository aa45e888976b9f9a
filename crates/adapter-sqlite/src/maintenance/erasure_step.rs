//! Erasure of a recipient: the statements of the scan of [`sql_rows::erasures`].

use std::num::NonZeroU32;

use domain::crypto::RecipientHash;
use domain::{ErasureId, MessageKey, Recipient, Timestamp};
use ports::StoreError;
use sql_rows::erasures::{ERASURES, ErasedRows, ErasureStatements, step};
use sql_rows::key;
use sqlx::SqliteConnection;

use crate::SqliteStore;
use crate::error::store_error;
use crate::json;
use crate::maintenance::delivery_retention::erase_deliveries;
use crate::reports::aliases;
use crate::rows::ErasureScan;
use crate::statistics::recipients;

impl SqliteStore {
    pub(crate) async fn try_erasure_step(
        &self,
        id: ErasureId,
        budget: NonZeroU32,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut write = self.begin().await.map_err(store_error(ERASURES))?;
        let scan = sqlx::query_as!(
            ErasureScan,
            "select recipient, recipient_hash, log_after, before_first_reported_at,
                 before_channel_id, before_sid
             from erasures
             where id = ?",
            id.0,
        )
        .fetch_optional(&mut *write)
        .await
        .map_err(store_error(ERASURES))?;
        let unfinished = scan.and_then(|mut scan| {
            let recipient = scan.recipient.take()?;
            Some((scan, recipient))
        });
        let Some((mut scan, recipient)) = unfinished else {
            write.roll_back().await;
            return Ok(());
        };
        let mut statements = Statements(&mut write);
        let done = step(&mut statements, &mut scan, &recipient, budget, now).await?;
        sqlx::query!(
            "update erasures
             set log_after = ?2, before_first_reported_at = ?3, before_channel_id = ?4,
                 before_sid = ?5, examined = examined + ?6, messages = messages + ?7,
                 reports = reports + ?8, deliveries = deliveries + ?9, finished_at = ?10,
                 recipient = case when ?10 is null then recipient end,
                 recipient_hash = case when ?10 is null then recipient_hash end
             where id = ?1",
            id.0,
            scan.log_after,
            scan.before_first_reported_at,
            scan.before_channel_id,
            scan.before_sid,
            done.examined,
            done.messages,
            done.reports,
            done.deliveries,
            done.finished_at.map(Timestamp::unix_micros),
        )
        .execute(&mut *write)
        .await
        .map_err(store_error(ERASURES))?;
        if let (Some(_), Some(hash)) = (done.finished_at, scan.recipient_hash) {
            let removed = recipients::remove(&mut write, RecipientHash(hash)).await;
            removed.map_err(store_error(ERASURES))?;
        }
        write.commit().await.map_err(store_error(ERASURES))
    }
}

/// Statements of one transaction.
struct Statements<'c>(&'c mut SqliteConnection);

impl ErasureStatements for Statements<'_> {
    type Time = i64;
    type Found = Vec<MessageKey>;
    type Error = StoreError;

    async fn scan_log(
        &mut self,
        scan: &mut ErasureScan,
        recipient: &Recipient,
        budget: i64,
    ) -> Result<(Vec<MessageKey>, i64), StoreError> {
        let rows = sqlx::query!(
            "select id, channel_id, sid, recipient, fields
             from reports
             where id > ?1
             order by id
             limit ?2",
            scan.log_after,
            budget,
        )
        .fetch_all(&mut *self.0)
        .await
        .map_err(store_error("reports"))?;
        let examined = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        let last = rows.last().filter(|_| examined == budget);
        scan.log_after = last.map(|last| last.id);
        let named = rows
            .iter()
            .filter(|row| recipient.is(&row.recipient) || recipient.is_in(&row.fields));
        let found = named.map(|row| key(&row.channel_id, &row.sid, "reports"));
        Ok((found.collect::<Result<_, _>>()?, examined))
    }

    async fn scan_messages(
        &mut self,
        scan: &mut ErasureScan,
        recipient: &Recipient,
        budget: i64,
    ) -> Result<(Vec<MessageKey>, i64), StoreError> {
        let rows = sqlx::query!(
            "select channel_id, sid, first_reported_at, recipient
             from messages
             where first_reported_at <= ?1
                 and (?2 is null or first_reported_at < ?1 or (channel_id, sid) < (?2, ?3))
             order by first_reported_at desc, channel_id desc, sid desc
             limit ?4",
            scan.before_first_reported_at.unwrap_or(i64::MAX),
            scan.before_channel_id,
            scan.before_sid,
            budget,
        )
        .fetch_all(&mut *self.0)
        .await
        .map_err(store_error("messages"))?;
        if let Some(last) = rows.last() {
            scan.before_first_reported_at = Some(last.first_reported_at);
            scan.before_channel_id = Some(last.channel_id.clone());
            scan.before_sid = Some(last.sid.clone());
        }
        let named = rows.iter().filter(|row| recipient.is(&row.recipient));
        let found = named.map(|row| key(&row.channel_id, &row.sid, "messages"));
        let examined = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        Ok((found.collect::<Result<_, _>>()?, examined))
    }

    async fn erase(
        &mut self,
        messages: Vec<MessageKey>,
        now: Timestamp,
    ) -> Result<ErasedRows, StoreError> {
        if messages.is_empty() {
            return Ok(ErasedRows::default());
        }
        let erased = erase(&mut *self.0, &messages, now).await;
        erased.map_err(store_error("reports"))
    }
}

async fn erase(
    connection: &mut SqliteConnection,
    messages: &[MessageKey],
    now: Timestamp,
) -> Result<ErasedRows, sqlx::Error> {
    let keys = json::keys(messages);
    // Joined, because for a pair in a list only the first column of the index would be used.
    let reports = sqlx::query!(
        "update reports
         set recipient = 'erased', error_text = null, fields = '{}'
         where id in (
             select report.value
             from jsonb_each(?) as wanted
             cross join messages as message
                 on message.channel_id = wanted.value ->> 0
                 and message.sid = unhex(wanted.value ->> 1)
             cross join json_each(message.report_ids) as report
         )",
        keys,
    )
    .execute(&mut *connection)
    .await?;
    let erased = sqlx::query!(
        "update messages
         set recipient = 'erased', error_text = null
         where rowid in (
             select message.rowid
             from jsonb_each(?) as wanted
             cross join messages as message
                 on message.channel_id = wanted.value ->> 0
                 and message.sid = unhex(wanted.value ->> 1)
         )",
        keys,
    )
    .execute(&mut *connection)
    .await?;
    aliases::remove(connection, &keys).await?;
    Ok(ErasedRows {
        messages: erased.rows_affected(),
        reports: reports.rows_affected(),
        deliveries: erase_deliveries(connection, messages, now).await?,
    })
}
