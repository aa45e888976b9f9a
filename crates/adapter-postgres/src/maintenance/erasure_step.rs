//! Erasure of a recipient: the statements of the scan of [`sql_rows::erasures`].

use std::num::NonZeroU32;

use domain::crypto::RecipientHash;
use domain::{ErasureId, MessageKey, Recipient, Timestamp};
use ports::StoreError;
use sql_rows::erasures::{ERASURES, ErasedRows, ErasureStatements, step};
use sql_rows::key;
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::PostgresStore;
use crate::error::store_error;
use crate::maintenance::delivery_retention::erase_deliveries;
use crate::reports::aliases;
use crate::retry::StepFailure;
use crate::rows::ErasureScan;
use crate::statistics::recipients;

/// Why a step failed.
pub(crate) enum StepError {
    Sql(sqlx::Error),
    Store(StoreError),
}

impl From<sqlx::Error> for StepError {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for StepError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<StepError> for StoreError {
    fn from(error: StepError) -> Self {
        match error {
            StepError::Sql(error) => store_error(ERASURES)(error),
            StepError::Store(error) => error,
        }
    }
}

impl StepFailure for StepError {
    fn lost_race(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Sql(error) => error.lost_race(),
            Self::Store(_) => None,
        }
    }
}

impl PostgresStore {
    pub(crate) async fn try_erasure_step(
        &self,
        id: ErasureId,
        budget: NonZeroU32,
        now: Timestamp,
    ) -> Result<(), StepError> {
        let mut transaction = self.pool.begin().await?;
        // A concurrent step waits here.
        let scan = sqlx::query_as!(
            ErasureScan,
            "select recipient, recipient_hash, log_after, before_first_reported_at,
                 before_channel_id, before_sid
             from erasures
             where id = $1
             for update",
            id.0,
        )
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(mut scan) = scan else {
            return Ok(());
        };
        let Some(recipient) = scan.recipient.take() else {
            return Ok(());
        };
        let mut statements = Statements(&mut transaction);
        let done = step(&mut statements, &mut scan, &recipient, budget, now).await?;
        sqlx::query!(
            "update erasures
             set log_after = $2, before_first_reported_at = $3, before_channel_id = $4,
                 before_sid = $5, examined = examined + $6, messages = messages + $7,
                 reports = reports + $8, deliveries = deliveries + $9, finished_at = $10,
                 recipient = case when $10::timestamptz is null then recipient end,
                 recipient_hash = case when $10::timestamptz is null then recipient_hash end
             where id = $1",
            id.0,
            scan.log_after,
            scan.before_first_reported_at,
            scan.before_channel_id,
            scan.before_sid,
            done.examined,
            done.messages,
            done.reports,
            done.deliveries,
            done.finished_at.map(Timestamp::to_date_time),
        )
        .execute(&mut *transaction)
        .await?;
        if let (Some(_), Some(hash)) = (done.finished_at, scan.recipient_hash) {
            recipients::remove(&mut transaction, RecipientHash(hash)).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

/// What a page of a scan found.
#[derive(Default)]
struct Found {
    /// The keys of messages.
    channel_ids: Vec<String>,
    sids: Vec<Vec<u8>>,
    /// Reports that name the recipient, and when they arrived. Their messages have more.
    report_ids: Vec<i64>,
    times: Vec<OffsetDateTime>,
}

/// Statements of one transaction, which holds the row of the erasure.
struct Statements<'c>(&'c mut PgConnection);

impl ErasureStatements for Statements<'_> {
    type Time = OffsetDateTime;
    type Found = Found;
    type Error = StepError;

    /// Reports that are committed while this runs are not missed: their messages are scanned
    /// afterwards.
    async fn scan_log(
        &mut self,
        scan: &mut ErasureScan,
        recipient: &Recipient,
        budget: i64,
    ) -> Result<(Found, i64), StepError> {
        let rows = sqlx::query!(
            r#"with
               -- The reports after the cursor, and whether each names the recipient.
               scanned as materialized (
                   select id, arrived_at, channel_id, sid,
                       coalesce(
                           recipient_key(recipient) = $3::text,
                           canonical_recipient(recipient) = $4::text
                       ) as named,
                       -- Fields that may name the recipient; the caller decides.
                       case when strpos(translate(fields::text, U&' +-()./\00A0', ''), $3) > 0
                           then fields::text
                       end as candidate
                   from reports
                   where id > $1
                   order by id
                   limit $2
               ),
               counted as (
                   select count(*) as examined, max(id) as last from scanned
               )
               -- Of the others only the last one is needed, as the next cursor.
               select id as "id!", arrived_at as "arrived_at!", channel_id as "channel_id!",
                   sid as "sid!", named as "named!", candidate, examined as "examined!"
               from scanned, counted
               where named or candidate is not null or id = last
               order by id"#,
            scan.log_after.unwrap_or_default(),
            budget,
            recipient.key(),
            recipient.exactly(),
        )
        .fetch_all(&mut *self.0)
        .await?;
        let examined = rows.last().map_or(0, |last| last.examined);
        let last = rows.last().filter(|_| examined == budget);
        scan.log_after = last.map(|last| last.id);
        let mut found = Found::default();
        for row in rows {
            if row.named || row.candidate.is_some_and(|fields| recipient.is_in(&fields)) {
                found.channel_ids.push(row.channel_id);
                found.sids.push(row.sid);
                found.report_ids.push(row.id);
                found.times.push(row.arrived_at);
            }
        }
        Ok((found, examined))
    }

    async fn scan_messages(
        &mut self,
        scan: &mut ErasureScan,
        recipient: &Recipient,
        budget: i64,
    ) -> Result<(Found, i64), StepError> {
        let rows = sqlx::query!(
            r#"with
               -- The messages before the cursor, and whether each goes to the recipient.
               scanned as materialized (
                   select channel_id, sid, first_reported_at,
                       coalesce(
                           recipient_key(recipient) = $5::text,
                           canonical_recipient(recipient) = $6::text
                       ) as named
                   from messages
                   where first_reported_at <= coalesce($1::timestamptz, 'infinity')
                       and (
                           $2::text is null
                           or (first_reported_at, channel_id, sid) < ($1, $2, $3)
                       )
                   order by first_reported_at desc, channel_id desc, sid desc
                   limit $4
               ),
               numbered as (
                   select *, count(*) over () as examined,
                       row_number() over (
                           order by first_reported_at desc, channel_id desc, sid desc
                       ) as nth
                   from scanned
               )
               -- Of the others only the last one is needed, as the next cursor.
               select channel_id as "channel_id!", sid as "sid!",
                   first_reported_at as "first_reported_at!", named as "named!",
                   examined as "examined!"
               from numbered
               where named or nth = examined
               order by nth"#,
            scan.before_first_reported_at,
            scan.before_channel_id,
            scan.before_sid,
            budget,
            recipient.key(),
            recipient.exactly(),
        )
        .fetch_all(&mut *self.0)
        .await?;
        let examined = rows.last().map_or(0, |last| last.examined);
        if let Some(last) = rows.last() {
            scan.before_first_reported_at = Some(last.first_reported_at);
            scan.before_channel_id = Some(last.channel_id.clone());
            scan.before_sid = Some(last.sid.clone());
        }
        let mut found = Found::default();
        for row in rows.into_iter().filter(|row| row.named) {
            found.channel_ids.push(row.channel_id);
            found.sids.push(row.sid);
        }
        Ok((found, examined))
    }

    /// The messages are locked first, in the order in which recording locks them: a later batch
    /// waits and then sees that they are erased, and the reports of an earlier one are on the row.
    async fn erase(&mut self, found: Found, now: Timestamp) -> Result<ErasedRows, StepError> {
        if found.sids.is_empty() {
            return Ok(ErasedRows::default());
        }
        let locked = sqlx::query!(
            "select channel_id, sid, report_ids, first_reported_at, last_reported_at
             from messages
             where (channel_id, sid) in (
                 select channel_id, sid
                 from unnest($1::text[], $2::bytea[]) as found (channel_id, sid)
             )
             order by channel_id, sid
             for update",
            &found.channel_ids,
            &found.sids,
        )
        .fetch_all(&mut *self.0)
        .await?;
        let messages = sqlx::query!(
            "update messages
             set recipient = 'erased', error_text = null
             where (channel_id, sid) in (
                 select channel_id, sid
                 from unnest($1::text[], $2::bytea[]) as found (channel_id, sid)
             )",
            &found.channel_ids,
            &found.sids,
        )
        .execute(&mut *self.0)
        .await?;
        aliases::remove(&mut *self.0, &found.channel_ids, &found.sids).await?;
        let (mut ids, mut times) = (found.report_ids, found.times);
        let mut keys: Vec<MessageKey> = Vec::with_capacity(locked.len());
        for row in locked {
            keys.push(key(&row.channel_id, &row.sid, "messages")?);
            ids.extend(row.report_ids);
            times.extend([row.first_reported_at, row.last_reported_at]);
        }
        // The range of times narrows the partitions that are searched.
        let reports = sqlx::query!(
            "update reports
             set recipient = 'erased', error_text = null, fields = '{}'
             where id = any ($1) and arrived_at between $2 and $3",
            &ids,
            times.iter().min(),
            times.iter().max(),
        )
        .execute(&mut *self.0)
        .await?;
        Ok(ErasedRows {
            messages: messages.rows_affected(),
            reports: reports.rows_affected(),
            deliveries: erase_deliveries(&mut *self.0, &keys, now).await?,
        })
    }
}
