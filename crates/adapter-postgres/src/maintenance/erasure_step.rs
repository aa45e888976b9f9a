//! Forgetting a person: the log is looked through, then the messages, a little at a time.

use std::num::NonZeroU32;

use domain::{ErasureId, MessageKey, Recipient, Timestamp};
use ports::StoreError;
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::PostgresStore;
use crate::error::{corrupt, store_error};
use crate::maintenance::delivery_retention::forget_bodies;
use crate::maintenance::erasure_rows::ERASURES;
use crate::retry::StepFailure;
use crate::rows::key;

/// Why a step was not taken.
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

/// How far an erasure has got.
struct ScanPosition {
    recipient: Option<String>,
    log_after: Option<i64>,
    before_first_reported_at: Option<OffsetDateTime>,
    before_channel_id: Option<String>,
    before_sid: Option<Vec<u8>>,
}

/// What one look has found.
#[derive(Default)]
struct Found {
    channel_ids: Vec<String>,
    sids: Vec<Vec<u8>>,
    /// Reports that name the person. Their messages have more.
    report_ids: Vec<i64>,
    /// When those arrived.
    times: Vec<OffsetDateTime>,
    looked_at: i64,
}

/// What was erased.
#[derive(Default)]
struct Erased {
    messages: i64,
    reports: i64,
    deliveries: i64,
}

impl PostgresStore {
    pub(crate) async fn try_step(
        &self,
        id: ErasureId,
        budget: NonZeroU32,
        now: Timestamp,
    ) -> Result<(), StepError> {
        let mut transaction = self.pool.begin().await?;
        // Whoever takes a step at the same time comes afterwards.
        let place = sqlx::query_as!(
            ScanPosition,
            "select recipient, log_after, before_first_reported_at, before_channel_id, before_sid
             from erasures
             where id = $1
             for update",
            id.0,
        )
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(mut place) = place else {
            return Ok(());
        };
        let Some(recipient) = place.recipient.take() else {
            return Ok(());
        };
        let addressee = Recipient::parse(&recipient).map_err(corrupt(ERASURES, "recipient"))?;
        let in_log = place.log_after.is_some();
        let budget = i64::from(budget.get());
        let found = if in_log {
            look_at_log(&mut transaction, &mut place, &addressee, budget).await?
        } else {
            look_at_messages(&mut transaction, &mut place, &addressee, budget).await?
        };
        let erased = erase(&mut transaction, &found, now).await?;
        let finished = !in_log && found.looked_at < budget;
        sqlx::query!(
            "update erasures
             set log_after = $2, before_first_reported_at = $3, before_channel_id = $4,
                 before_sid = $5, looked_at = looked_at + $6, messages = messages + $7,
                 reports = reports + $8, deliveries = deliveries + $9, finished_at = $10,
                 recipient = case when $10::timestamptz is null then recipient end
             where id = $1",
            id.0,
            place.log_after,
            place.before_first_reported_at,
            place.before_channel_id,
            place.before_sid,
            found.looked_at,
            erased.messages,
            erased.reports,
            erased.deliveries,
            finished.then(|| now.to_date_time()),
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }
}

/// Looks at the next reports of the log and moves the place on.
///
/// Reports that are committed later have no say in where it ends: their messages are looked
/// at afterwards.
async fn look_at_log(
    connection: &mut PgConnection,
    place: &mut ScanPosition,
    addressee: &Recipient,
    budget: i64,
) -> Result<Found, sqlx::Error> {
    // Of those that are not named only the last one is needed.
    let rows = sqlx::query!(
        r#"with scanned as materialized (
               select id, arrived_at, channel_id, sid,
                   coalesce(
                       recipient_key(recipient) = $3::text,
                       canonical_recipient(recipient) = $4::text
                   ) as named,
                   -- Fields that may name the person; whether they do is found below.
                   case when strpos(translate(fields::text, U&' +-()./\00A0', ''), $3) > 0
                       then fields::text
                   end as candidate
               from reports
               where id > $1
               order by id
               limit $2
           ),
           counted as (
               select count(*) as looked_at, max(id) as last from scanned
           )
           select id as "id!", arrived_at as "arrived_at!", channel_id as "channel_id!",
               sid as "sid!", named as "named!", candidate, looked_at as "looked_at!"
           from scanned, counted
           where named or candidate is not null or id = last
           order by id"#,
        place.log_after.unwrap_or_default(),
        budget,
        addressee.key(),
        addressee.exactly(),
    )
    .fetch_all(connection)
    .await?;
    let mut found = Found::default();
    place.log_after = rows
        .last()
        .filter(|last| last.looked_at == budget)
        .map(|last| last.id);
    for row in rows {
        found.looked_at = row.looked_at;
        if row.named || row.candidate.is_some_and(|fields| addressee.is_in(&fields)) {
            found.channel_ids.push(row.channel_id);
            found.sids.push(row.sid);
            found.report_ids.push(row.id);
            found.times.push(row.arrived_at);
        }
    }
    Ok(found)
}

/// Looks at the next messages, the one first heard of last first, and moves the place on. A
/// message that is heard of at an earlier time meanwhile moves to where nobody has looked.
async fn look_at_messages(
    connection: &mut PgConnection,
    place: &mut ScanPosition,
    addressee: &Recipient,
    budget: i64,
) -> Result<Found, sqlx::Error> {
    let rows = sqlx::query!(
        r#"with scanned as materialized (
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
           counted as (
               select *, count(*) over () as looked_at,
                   row_number() over (
                       order by first_reported_at desc, channel_id desc, sid desc
                   ) as nth
               from scanned
           )
           select channel_id as "channel_id!", sid as "sid!",
               first_reported_at as "first_reported_at!", named as "named!",
               looked_at as "looked_at!"
           from counted
           where named or nth = looked_at
           order by nth"#,
        place.before_first_reported_at,
        place.before_channel_id,
        place.before_sid,
        budget,
        addressee.key(),
        addressee.exactly(),
    )
    .fetch_all(connection)
    .await?;
    let mut found = Found::default();
    if let Some(last) = rows.last() {
        place.before_first_reported_at = Some(last.first_reported_at);
        place.before_channel_id = Some(last.channel_id.clone());
        place.before_sid = Some(last.sid.clone());
    }
    for row in rows {
        found.looked_at = row.looked_at;
        if row.named {
            found.channel_ids.push(row.channel_id);
            found.sids.push(row.sid);
        }
    }
    Ok(found)
}

/// Erases messages, all their reports, and what is still to be sent about them.
///
/// The messages are locked first, in the order in which recording does: whoever records waits
/// and then sees that they are erased, and of whoever was earlier all reports are on the row.
async fn erase(
    connection: &mut PgConnection,
    found: &Found,
    now: Timestamp,
) -> Result<Erased, StepError> {
    if found.sids.is_empty() {
        return Ok(Erased::default());
    }
    let locked = sqlx::query!(
        "select channel_id, sid, report_ids, first_reported_at, last_reported_at
         from messages
         where (channel_id, sid) in (
             select channel_id, sid from unnest($1::text[], $2::bytea[]) as found (channel_id, sid)
         )
         order by channel_id, sid
         for update",
        &found.channel_ids,
        &found.sids,
    )
    .fetch_all(&mut *connection)
    .await?;
    let messages = sqlx::query!(
        "update messages
         set recipient = 'erased', error_text = null
         where (channel_id, sid) in (
             select channel_id, sid from unnest($1::text[], $2::bytea[]) as found (channel_id, sid)
         )",
        &found.channel_ids,
        &found.sids,
    )
    .execute(&mut *connection)
    .await?;
    let (mut ids, mut times) = (found.report_ids.clone(), found.times.clone());
    let mut keys: Vec<MessageKey> = Vec::with_capacity(locked.len());
    for row in locked {
        keys.push(key(&row.channel_id, &row.sid, "messages")?);
        ids.extend(row.report_ids);
        times.extend([row.first_reported_at, row.last_reported_at]);
    }
    let reports = sqlx::query!(
        "update reports
         set recipient = 'erased', error_text = null, fields = '{}'
         where id = any ($1) and arrived_at between $2 and $3",
        &ids,
        times.iter().min(),
        times.iter().max(),
    )
    .execute(&mut *connection)
    .await?;
    let deliveries = forget_bodies(connection, &keys, now).await?;
    let count = |rows: u64| i64::try_from(rows).unwrap_or(i64::MAX);
    Ok(Erased {
        messages: count(messages.rows_affected()),
        reports: count(reports.rows_affected()),
        deliveries: count(deliveries),
    })
}
