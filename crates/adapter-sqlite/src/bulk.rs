//! Many rows in one hand-over.
//!
//! The connection lives on a thread of its own, and each statement costs two changes of
//! thread: on a loaded machine more than writing some rows. So the messages and the log of a
//! batch, and the commit behind them, go there as one text of several statements.
//!
//! Values are bound one by one: taking them out of one JSON text, a row at a time, cost the
//! engine twice as much as writing them (measured on batches of 256 reports). A text has one
//! of few numbers of rows, so that each is prepared once and kept; a row without a value is
//! none.

use std::sync::LazyLock;

use domain::Timestamp;
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, SqliteConnection};

use crate::json;
use crate::reports::record::{Kept, NewReport};

/// How many rows of either table a text may have.
pub(crate) const SIZES: [usize; 11] = [1, 2, 4, 8, 16, 24, 32, 48, 64, 96, MOST];
pub(crate) const MOST: usize = 128;

const MESSAGE_COLUMNS: usize = 25;
const REPORT_COLUMNS: usize = 14;

/// What follows the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Nothing: the step goes on.
    GoOn,
    /// The end of the step. It is on the disk when the text is done.
    Commit,
}

/// Writes messages that are new and those that have changed, and appends to the log.
pub(crate) async fn write(
    connection: &mut SqliteConnection,
    messages: &[&Kept],
    log: &[NewReport<'_>],
    then: Then,
) -> Result<(), sqlx::Error> {
    let (mut messages, mut log) = (messages, log);
    loop {
        let (some_messages, other_messages) = messages.split_at(messages.len().min(MOST));
        let (some_log, other_log) = log.split_at(log.len().min(MOST));
        (messages, log) = (other_messages, other_log);
        let last = messages.is_empty() && log.is_empty();
        let then = if last { then } else { Then::GoOn };
        write_some(connection, some_messages, some_log, then).await?;
        if last {
            return Ok(());
        }
    }
}

/// At most [`MOST`] rows of either table.
async fn write_some(
    connection: &mut SqliteConnection,
    messages: &[&Kept],
    log: &[NewReport<'_>],
    then: Then,
) -> Result<(), sqlx::Error> {
    let rows = messages.len().max(log.len());
    let Some(texts) = TEXTS.iter().find(|texts| texts.rows >= rows) else {
        return Err(sqlx::Error::Encode("more rows than any text has".into()));
    };
    let mut values = SqliteArguments::default();
    values.reserve(texts.rows * (MESSAGE_COLUMNS + REPORT_COLUMNS), 0);
    let bound = bind_all(&mut values, texts.rows, messages, log);
    bound.map_err(sqlx::Error::Encode)?;
    let text = match then {
        Then::GoOn => texts.going_on.as_str(),
        Then::Commit => texts.committing.as_str(),
    };
    sqlx::query_with(text, values).execute(connection).await?;
    Ok(())
}

fn bind_all(
    values: &mut SqliteArguments,
    rows: usize,
    messages: &[&Kept],
    log: &[NewReport<'_>],
) -> Result<(), BoxDynError> {
    for message in messages {
        bind_message(values, message)?;
    }
    for _ in 0..(rows - messages.len()) * MESSAGE_COLUMNS {
        values.add(None::<i64>)?;
    }
    // What is not bound at the end is null.
    log.iter().try_for_each(|new| bind_report(values, new))
}

fn bind_message(values: &mut SqliteArguments, kept: &Kept) -> Result<(), BoxDynError> {
    let message = &kept.message;
    let prints = message.seen.fingerprints();
    let error = message.state.error();
    values.add(message.key.channel.as_str())?;
    values.add(message.key.sid.to_compact())?;
    values.add(message.parties.recipient.reveal())?;
    values.add(message.parties.sender.reveal())?;
    values.add(message.parties.first_reported_at.unix_micros())?;
    values.add(message.last_reported_at.unix_micros())?;
    values.add(i64::try_from(message.duplicates).unwrap_or(i64::MAX))?;
    values.add(message.seen.mask())?;
    values.add(message.state.status().map(domain::DeliveryStatus::rank))?;
    for time in message.state.timeline().times() {
        values.add(time.map(Timestamp::unix_micros))?;
    }
    values.add(json::integers(&kept.report_ids))?;
    values.add((!prints.is_empty()).then(|| json::integers(prints)))?;
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
    values.add(report.sender.reveal())?;
    values.add(report.arrived_at.unix_micros())?;
    values.add(report.credential.0)?;
    values.add(error.map(|error| error.code.as_str()))?;
    values.add(error.map(|error| error.text.reveal()))?;
    values.add(report.idempotency_token.as_deref())?;
    values.add(report.fields.as_json())
}

/// The texts for some number of rows of either table.
struct Texts {
    rows: usize,
    going_on: String,
    committing: String,
}

static TEXTS: LazyLock<[Texts; SIZES.len()]> = LazyLock::new(|| {
    SIZES.map(|rows| {
        let going_on = text(rows);
        let committing = format!("{going_on}; commit");
        Texts {
            rows,
            going_on,
            committing,
        }
    })
});

fn text(rows: usize) -> String {
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
             credential_id, error_code, error_text, idempotency_token, fields
         )
         select * from (values {reports}) where column1 is not null"
    )
}

/// `(?, ?), (?, ?)`
pub(crate) fn placeholders(rows: usize, columns: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(", "));
    vec![row; rows].join(", ")
}
