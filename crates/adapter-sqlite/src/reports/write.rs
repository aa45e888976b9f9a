//! Writing the messages and the log rows of a batch.

use std::sync::LazyLock;

use domain::Timestamp;
use sql_rows::messages::sender_column;
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, SqliteConnection};

use crate::bulk::{BulkTexts, End, MAX_ROWS, placeholders};
use crate::json;
use crate::reports::batch::{NewReport, StoredMessage};

const MESSAGE_COLUMNS: usize = 25;
const REPORT_COLUMNS: usize = 15;

static TEXTS: LazyLock<BulkTexts> =
    LazyLock::new(|| BulkTexts::new(MESSAGE_COLUMNS + REPORT_COLUMNS, statements));

/// Upserts messages and appends to the log.
pub(crate) async fn write(
    connection: &mut SqliteConnection,
    messages: &[&StoredMessage],
    log: &[NewReport<'_>],
    end: End,
) -> Result<(), sqlx::Error> {
    let (mut messages, mut log) = (messages, log);
    loop {
        let (some_messages, other_messages) = messages.split_at(messages.len().min(MAX_ROWS));
        let (some_log, other_log) = log.split_at(log.len().min(MAX_ROWS));
        (messages, log) = (other_messages, other_log);
        let last = messages.is_empty() && log.is_empty();
        let end = if last { end } else { End::Open };
        let rows = some_messages.len().max(some_log.len());
        let bind =
            |values: &mut SqliteArguments, rows| bind_all(values, rows, some_messages, some_log);
        TEXTS.execute(connection, rows, end, bind).await?;
        if last {
            return Ok(());
        }
    }
}

fn bind_all(
    values: &mut SqliteArguments,
    rows: usize,
    messages: &[&StoredMessage],
    log: &[NewReport<'_>],
) -> Result<(), BoxDynError> {
    for message in messages {
        bind_message(values, message)?;
    }
    for _ in 0..(rows - messages.len()) * MESSAGE_COLUMNS {
        values.add(None::<i64>)?;
    }
    log.iter().try_for_each(|new| bind_report(values, new))
}

fn bind_message(values: &mut SqliteArguments, stored: &StoredMessage) -> Result<(), BoxDynError> {
    let message = &stored.message;
    let fingerprints = message.seen.fingerprints();
    let error = message.state.error();
    values.add(message.key.channel.as_str())?;
    values.add(message.key.sid.to_compact())?;
    values.add(message.parties.recipient.reveal())?;
    values.add(sender_column(message.parties.sender.as_ref()))?;
    values.add(message.parties.first_reported_at.unix_micros())?;
    values.add(message.last_reported_at.unix_micros())?;
    values.add(i64::try_from(message.duplicates).unwrap_or(i64::MAX))?;
    values.add(message.seen.mask())?;
    values.add(message.state.status().map(domain::DeliveryStatus::rank))?;
    for time in message.state.timeline().times() {
        values.add(time.map(Timestamp::unix_micros))?;
    }
    values.add(json::array(&stored.report_ids))?;
    values.add((!fingerprints.is_empty()).then(|| json::array(fingerprints)))?;
    values.add(error.map(|error| error.reported_at.unix_micros()))?;
    values.add(error.map(|error| error.error.code.as_str()))?;
    values.add(error.map(|error| error.error.text.reveal()))
}

fn bind_report(values: &mut SqliteArguments, new: &NewReport<'_>) -> Result<(), BoxDynError> {
    let report = &*new.report;
    let error = report.error.as_ref();
    values.add(new.id)?;
    values.add(report.key.channel.as_str())?;
    values.add(report.key.sid.to_compact())?;
    values.add(i64::try_from(new.revision).unwrap_or(i64::MAX))?;
    values.add(new.effect.as_str())?;
    values.add(report.status.as_str())?;
    values.add(report.recipient.reveal())?;
    values.add(sender_column(report.sender.as_ref()))?;
    values.add(report.arrived_at.unix_micros())?;
    values.add(report.credential.0)?;
    values.add(error.map(|error| error.code.as_str()))?;
    values.add(error.map(|error| error.text.reveal()))?;
    values.add(report.idempotency_token.as_deref())?;
    values.add(report.happened_at.map(Timestamp::unix_micros))?;
    values.add(report.fields.as_json())
}

fn statements(rows: usize) -> String {
    let messages = placeholders(rows, MESSAGE_COLUMNS);
    let reports = placeholders(rows, REPORT_COLUMNS);
    format!(
        "insert into messages (
             channel_id, sid, recipient, sender, first_reported_at, last_reported_at,
             duplicates, seen_mask, status_rank, accepted_at, scheduled_at, queued_at,
             sending_at, sent_at, partially_delivered_at, canceled_at, failed_at,
             undelivered_at, delivered_at, read_at, report_ids, seen_fingerprints, error_at,
             error_code, error_text
         )
         select * from (values {messages}) where column1 is not null
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
             error_text = excluded.error_text;
         insert into reports (
             id, channel_id, sid, revision, effect, status, recipient, sender, arrived_at,
             credential_id, error_code, error_text, idempotency_token, happened_at, fields
         )
         select * from (values {reports}) where column1 is not null"
    )
}
