//! Forgetting a person: the log is looked through, then the messages, a little at a time.

use std::num::NonZeroU32;

use domain::{ErasureId, MessageKey, Recipient, Timestamp};
use ports::StoreError;

use crate::SqliteStore;
use crate::connection::Write;
use crate::error::{corrupt, store_error};
use crate::json;
use crate::maintenance::delivery_retention::forget_bodies;
use crate::maintenance::erasure_rows::ERASURES;
use crate::rows::key;

/// How far an erasure has got.
struct ScanPosition {
    recipient: Option<String>,
    log_after: Option<i64>,
    before_first_reported_at: Option<i64>,
    before_channel_id: Option<String>,
    before_sid: Option<Vec<u8>>,
}

/// What one look has found.
#[derive(Default)]
struct Found {
    messages: Vec<MessageKey>,
    looked_at: i64,
}

/// What was erased.
#[derive(Default)]
struct Erased {
    messages: i64,
    reports: i64,
    deliveries: i64,
}

impl SqliteStore {
    pub(crate) async fn take_step(
        &self,
        id: ErasureId,
        budget: NonZeroU32,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut write = self.begin().await.map_err(store_error(ERASURES))?;
        let place = place(&mut write, id).await.map_err(store_error(ERASURES))?;
        let Some((mut place, recipient)) = place else {
            write.roll_back().await;
            return Ok(());
        };
        let addressee = Recipient::parse(&recipient).map_err(corrupt(ERASURES, "recipient"))?;
        let in_log = place.log_after.is_some();
        let budget = i64::from(budget.get());
        let found = if in_log {
            look_at_log(&mut write, &mut place, &addressee, budget).await?
        } else {
            look_at_messages(&mut write, &mut place, &addressee, budget).await?
        };
        let finished = !in_log && found.looked_at < budget;
        let finished_at = finished.then_some(now);
        let erased = erase(&mut write, &found.messages, now).await;
        let erased = erased.map_err(store_error("reports"))?;
        note(
            &mut write,
            id,
            &place,
            found.looked_at,
            &erased,
            finished_at,
        )
        .await
        .map_err(store_error(ERASURES))?;
        write.commit().await.map_err(store_error(ERASURES))
    }
}

/// Where an erasure stands, and of whom it is; `None` if there is nothing to be done.
async fn place(
    write: &mut Write<'_>,
    id: ErasureId,
) -> Result<Option<(ScanPosition, String)>, sqlx::Error> {
    let id = id.0.as_bytes().as_slice();
    let place = sqlx::query_as!(
        ScanPosition,
        "select recipient, log_after, before_first_reported_at, before_channel_id, before_sid
         from erasures
         where id = ?",
        id,
    )
    .fetch_optional(&mut **write)
    .await?;
    Ok(place.and_then(|mut place| {
        let recipient = place.recipient.take()?;
        Some((place, recipient))
    }))
}

/// Takes down what a step has done.
async fn note(
    write: &mut Write<'_>,
    id: ErasureId,
    place: &ScanPosition,
    looked_at: i64,
    erased: &Erased,
    finished_at: Option<Timestamp>,
) -> Result<(), sqlx::Error> {
    let id = id.0.as_bytes().as_slice();
    let finished_at = finished_at.map(Timestamp::unix_micros);
    sqlx::query!(
        "update erasures
         set log_after = ?2, before_first_reported_at = ?3, before_channel_id = ?4,
             before_sid = ?5, looked_at = looked_at + ?6, messages = messages + ?7,
             reports = reports + ?8, deliveries = deliveries + ?9, finished_at = ?10,
             recipient = case when ?10 is null then recipient end
         where id = ?1",
        id,
        place.log_after,
        place.before_first_reported_at,
        place.before_channel_id,
        place.before_sid,
        looked_at,
        erased.messages,
        erased.reports,
        erased.deliveries,
        finished_at,
    )
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// Looks at the next reports of the log and moves the place on.
async fn look_at_log(
    write: &mut Write<'_>,
    place: &mut ScanPosition,
    addressee: &Recipient,
    budget: i64,
) -> Result<Found, StoreError> {
    let rows = sqlx::query!(
        "select id, channel_id, sid, recipient, fields
         from reports
         where id > ?1
         order by id
         limit ?2",
        place.log_after,
        budget,
    )
    .fetch_all(&mut **write)
    .await
    .map_err(store_error("reports"))?;
    let looked_at = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let last = rows.last().filter(|_| looked_at == budget);
    place.log_after = last.map(|last| last.id);
    let mut messages = Vec::new();
    for row in &rows {
        if addressee.is(&row.recipient) || addressee.is_in(&row.fields) {
            messages.push(key(&row.channel_id, &row.sid, "reports")?);
        }
    }
    Ok(Found {
        messages,
        looked_at,
    })
}

/// Looks at the next messages, the one first heard of last first, and moves the place on. A
/// message that is heard of at an earlier time meanwhile moves to where nobody has looked.
async fn look_at_messages(
    write: &mut Write<'_>,
    place: &mut ScanPosition,
    addressee: &Recipient,
    budget: i64,
) -> Result<Found, StoreError> {
    let newest = place.before_first_reported_at.unwrap_or(i64::MAX);
    let rows = sqlx::query!(
        "select channel_id, sid, first_reported_at, recipient
         from messages
         where first_reported_at <= ?1
             and (?2 is null or first_reported_at < ?1 or (channel_id, sid) < (?2, ?3))
         order by first_reported_at desc, channel_id desc, sid desc
         limit ?4",
        newest,
        place.before_channel_id,
        place.before_sid,
        budget,
    )
    .fetch_all(&mut **write)
    .await
    .map_err(store_error("messages"))?;
    if let Some(last) = rows.last() {
        place.before_first_reported_at = Some(last.first_reported_at);
        place.before_channel_id = Some(last.channel_id.clone());
        place.before_sid = Some(last.sid.clone());
    }
    let mut messages = Vec::new();
    for row in rows.iter().filter(|row| addressee.is(&row.recipient)) {
        messages.push(key(&row.channel_id, &row.sid, "messages")?);
    }
    Ok(Found {
        messages,
        looked_at: i64::try_from(rows.len()).unwrap_or(i64::MAX),
    })
}

/// Erases messages, all their reports, and what is still to be sent about them.
async fn erase(
    write: &mut Write<'_>,
    messages: &[MessageKey],
    now: Timestamp,
) -> Result<Erased, sqlx::Error> {
    if messages.is_empty() {
        return Ok(Erased::default());
    }
    let rows = json::keys(messages);
    // Joined, since of a pair in a list the index is asked for its first half only.
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
        rows,
    )
    .execute(&mut **write)
    .await?
    .rows_affected();
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
        rows,
    )
    .execute(&mut **write)
    .await?
    .rows_affected();
    let deliveries = forget_bodies(write, messages, now).await?;
    let count = |rows: u64| i64::try_from(rows).unwrap_or(i64::MAX);
    Ok(Erased {
        messages: count(erased),
        reports: count(reports),
        deliveries: count(deliveries),
    })
}
