//! Recording a batch: four statements, whatever its size.
//!
//! Under the lock of the one writer it reads the messages of the batch, asks `domain` what
//! each report does to them, and writes back the messages and the new part of the log. Each
//! statement takes all its rows as one JSON text.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use domain::{Effect, Message, MessageKey, Report};
use ports::StoreError;
use sqlx::SqliteConnection;

use crate::error::store_error;
use crate::json::{self, JsonRows};
use crate::rows::MessageRow;

/// The greatest number of reports that four statements take: what stands in memory, in the
/// JSON texts and in the engine's cache meanwhile is bounded.
pub(crate) const BATCH: usize = 512;

/// Records up to [`BATCH`] reports within a transaction that holds the write lock.
pub(crate) async fn record(
    connection: &mut SqliteConnection,
    reports: &[Report],
) -> Result<Vec<Effect>, StoreError> {
    let mut batch = Batch {
        messages: kept_messages(connection, reports).await?,
        log: Vec::with_capacity(reports.len()),
        last_id: last_id(connection)
            .await
            .map_err(store_error("sqlite_sequence"))?,
    };
    let effects = reports.iter().map(|report| batch.absorb(report)).collect();
    write_messages(connection, &batch.messages)
        .await
        .map_err(store_error("message"))?;
    write_log(connection, &batch.log)
        .await
        .map_err(store_error("report"))?;
    Ok(effects)
}

/// What a batch changes. The messages are sorted, so that neighbours in the index are
/// changed together.
struct Batch<'a> {
    messages: BTreeMap<&'a MessageKey, Kept>,
    log: Vec<NewReport<'a>>,
    /// The id of the newest report in the log.
    last_id: i64,
}

/// A message, and the ids of its reports in the log.
struct Kept {
    message: Message,
    report_ids: Vec<i64>,
}

/// A report that is new to the log.
struct NewReport<'a> {
    id: i64,
    revision: u64,
    effect: Effect,
    report: &'a Report,
}

impl<'a> Batch<'a> {
    fn absorb(&mut self, report: &'a Report) -> Effect {
        let (kept, effect) = match self.messages.entry(&report.key) {
            Entry::Occupied(entry) => {
                let kept = entry.into_mut();
                let effect = kept.message.absorb(report);
                (kept, effect)
            }
            Entry::Vacant(entry) => {
                let (message, effect) = Message::begin(report);
                let report_ids = Vec::with_capacity(1);
                (
                    entry.insert(Kept {
                        message,
                        report_ids,
                    }),
                    effect,
                )
            }
        };
        if effect != Effect::Duplicate {
            self.last_id = self.last_id.saturating_add(1);
            kept.report_ids.push(self.last_id);
            self.log.push(NewReport {
                id: self.last_id,
                revision: kept.message.revision(),
                effect,
                report,
            });
        }
        effect
    }
}

/// The messages of a batch that are there already.
async fn kept_messages<'a>(
    connection: &mut SqliteConnection,
    reports: &'a [Report],
) -> Result<BTreeMap<&'a MessageKey, Kept>, StoreError> {
    let keys: BTreeSet<&MessageKey> = reports.iter().map(|report| &report.key).collect();
    let mut rows = JsonRows::with_capacity(keys.len(), 64);
    for key in &keys {
        rows.row()
            .text(key.channel.as_str())
            .bytes(&key.sid.to_compact());
    }
    let rows = rows.finish();
    let found = sqlx::query_as!(
        MessageRow,
        r#"select message.channel_id, message.sid, message.recipient, message.sender,
               message.first_reported_at, message.last_reported_at, message.duplicates,
               message.seen_mask, message.accepted_at, message.scheduled_at, message.queued_at,
               message.sending_at, message.sent_at, message.partially_delivered_at,
               message.canceled_at, message.failed_at, message.undelivered_at,
               message.delivered_at, message.read_at, message.report_ids,
               message.seen_fingerprints, message.error_at, message.error_code,
               message.error_text
           from jsonb_each(?) as wanted
           cross join messages as message
               on message.channel_id = wanted.value ->> 0
               and message.sid = unhex(wanted.value ->> 1)"#,
        rows,
    )
    .fetch_all(connection)
    .await
    .map_err(store_error("messages"))?;

    let mut messages = BTreeMap::new();
    for row in found {
        let report_ids = row.report_ids()?;
        let message = Message::try_from(row)?;
        if let Some(key) = keys.get(&message.key) {
            messages.insert(
                *key,
                Kept {
                    message,
                    report_ids,
                },
            );
        }
    }
    Ok(messages)
}

/// The greatest id that a report ever had.
async fn last_id(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select coalesce(max(seq), 0) as "id!: i64" from sqlite_sequence where name = 'reports'"#
    )
    .fetch_one(connection)
    .await
}

async fn write_messages(
    connection: &mut SqliteConnection,
    messages: &BTreeMap<&MessageKey, Kept>,
) -> Result<(), sqlx::Error> {
    let mut rows = JsonRows::with_capacity(messages.len(), 384);
    for Kept {
        message,
        report_ids,
    } in messages.values()
    {
        let mut row = rows.row();
        row.text(message.key.channel.as_str())
            .bytes(&message.key.sid.to_compact())
            .text(message.parties.recipient.reveal())
            .text(message.parties.sender.reveal())
            .integer(message.parties.first_reported_at.unix_micros())
            .integer(message.last_reported_at.unix_micros())
            .integer(i64::try_from(message.duplicates).unwrap_or(i64::MAX))
            .integer(message.seen.mask().into())
            .optional_integer(message.state.status().map(|status| status.rank().into()));
        for time in message.state.timeline().times() {
            row.optional_integer(time.map(domain::Timestamp::unix_micros));
        }
        let prints = message.seen.fingerprints();
        let prints = (!prints.is_empty()).then(|| json::integers(prints));
        let error = message.state.error();
        row.text(&json::integers(report_ids))
            .optional_text(prints.as_deref())
            .optional_integer(error.map(|error| error.reported_at.unix_micros()))
            .optional_text(error.map(|error| error.error.code.as_str()))
            .optional_text(error.map(|error| error.error.text.as_str()));
    }
    let rows = rows.finish();
    // `where true` tells the parser that `on` belongs to the conflict and to no join.
    sqlx::query!(
        "insert into messages (
             channel_id, sid, recipient, sender, first_reported_at, last_reported_at, duplicates,
             seen_mask, status_rank, accepted_at, scheduled_at, queued_at, sending_at, sent_at,
             partially_delivered_at, canceled_at, failed_at, undelivered_at, delivered_at,
             read_at, report_ids, seen_fingerprints, error_at, error_code, error_text
         )
         select value ->> 0, unhex(value ->> 1), value ->> 2, value ->> 3, value ->> 4,
             value ->> 5, value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10,
             value ->> 11, value ->> 12, value ->> 13, value ->> 14, value ->> 15, value ->> 16,
             value ->> 17, value ->> 18, value ->> 19, value ->> 20, value ->> 21, value ->> 22,
             value ->> 23, value ->> 24
         from jsonb_each(?)
         where true
         on conflict (channel_id, sid) do update
         set recipient = excluded.recipient,
             sender = excluded.sender,
             first_reported_at = excluded.first_reported_at,
             last_reported_at = excluded.last_reported_at,
             duplicates = excluded.duplicates,
             seen_mask = excluded.seen_mask,
             status_rank = excluded.status_rank,
             accepted_at = excluded.accepted_at,
             scheduled_at = excluded.scheduled_at,
             queued_at = excluded.queued_at,
             sending_at = excluded.sending_at,
             sent_at = excluded.sent_at,
             partially_delivered_at = excluded.partially_delivered_at,
             canceled_at = excluded.canceled_at,
             failed_at = excluded.failed_at,
             undelivered_at = excluded.undelivered_at,
             delivered_at = excluded.delivered_at,
             read_at = excluded.read_at,
             report_ids = excluded.report_ids,
             seen_fingerprints = excluded.seen_fingerprints,
             error_at = excluded.error_at,
             error_code = excluded.error_code,
             error_text = excluded.error_text",
        rows,
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_log(
    connection: &mut SqliteConnection,
    log: &[NewReport<'_>],
) -> Result<(), sqlx::Error> {
    if log.is_empty() {
        return Ok(());
    }
    let mut rows = JsonRows::with_capacity(log.len(), 768);
    for new in log {
        let report = new.report;
        let error = report.error.as_ref();
        rows.row()
            .integer(new.id)
            .text(report.key.channel.as_str())
            .bytes(&report.key.sid.to_compact())
            .integer(i64::try_from(new.revision).unwrap_or(i64::MAX))
            .text(new.effect.as_str())
            .text(report.status.as_str())
            .text(report.recipient.reveal())
            .text(report.sender.reveal())
            .integer(report.arrived_at.unix_micros())
            .bytes(report.credential.0.as_bytes())
            .optional_text(error.map(|error| error.code.as_str()))
            .optional_text(error.map(|error| error.text.as_str()))
            .optional_text(report.idempotency_token.as_deref())
            .text(&report.fields.to_json());
    }
    let rows = rows.finish();
    sqlx::query!(
        "insert into reports (
             id, channel_id, sid, revision, effect, status, recipient, sender, arrived_at,
             credential_id, error_code, error_text, idempotency_token, fields
         )
         select value ->> 0, value ->> 1, unhex(value ->> 2), value ->> 3, value ->> 4,
             value ->> 5, value ->> 6, value ->> 7, value ->> 8, unhex(value ->> 9),
             value ->> 10, value ->> 11, value ->> 12, value ->> 13
         from jsonb_each(?)",
        rows,
    )
    .execute(connection)
    .await?;
    Ok(())
}
