//! Many rows in few statements.
//!
//! Values are bound one by one: taking them out of one JSON text, a row at a time, cost the
//! engine twice as much as writing them (measured on batches of 256 reports). A statement has
//! one of few numbers of rows, so that each is prepared once and kept.

use domain::Timestamp;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use crate::json;
use crate::record::{Kept, NewReport};

/// How many rows a statement may have, the most first.
const PORTIONS: [usize; 4] = [128, 32, 8, 1];

/// The rows in portions of these sizes, as few as possible.
fn portions<Row>(mut rows: &[Row]) -> impl Iterator<Item = &[Row]> {
    std::iter::from_fn(move || {
        let size = PORTIONS.into_iter().find(|size| *size <= rows.len())?;
        let (portion, rest) = rows.split_at(size);
        rows = rest;
        Some(portion)
    })
}

/// Writes messages that are new and those that have changed.
pub(crate) async fn write_messages(
    connection: &mut SqliteConnection,
    messages: &[&Kept],
) -> Result<(), sqlx::Error> {
    for portion in portions(messages) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "insert into messages (
                 channel_id, sid, recipient, sender, first_reported_at, last_reported_at,
                 duplicates, seen_mask, status_rank, accepted_at, scheduled_at, queued_at,
                 sending_at, sent_at, partially_delivered_at, canceled_at, failed_at,
                 undelivered_at, delivered_at, read_at, report_ids, seen_fingerprints, error_at,
                 error_code, error_text
             ) ",
        );
        query.push_values(
            portion,
            |mut row,
             Kept {
                 message,
                 report_ids,
             }| {
                let prints = message.seen.fingerprints();
                let error = message.state.error();
                row.push_bind(message.key.channel.as_str())
                    .push_bind(message.key.sid.to_compact())
                    .push_bind(message.parties.recipient.reveal())
                    .push_bind(message.parties.sender.reveal())
                    .push_bind(message.parties.first_reported_at.unix_micros())
                    .push_bind(message.last_reported_at.unix_micros())
                    .push_bind(i64::try_from(message.duplicates).unwrap_or(i64::MAX))
                    .push_bind(message.seen.mask())
                    .push_bind(message.state.status().map(domain::DeliveryStatus::rank));
                for time in message.state.timeline().times() {
                    row.push_bind(time.map(Timestamp::unix_micros));
                }
                row.push_bind(json::integers(report_ids))
                    .push_bind((!prints.is_empty()).then(|| json::integers(prints)))
                    .push_bind(error.map(|error| error.reported_at.unix_micros()))
                    .push_bind(error.map(|error| error.error.code.as_str()))
                    .push_bind(error.map(|error| error.error.text.as_str()));
            },
        );
        query.push(
            " on conflict (channel_id, sid) do update
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
        );
        query.build().execute(&mut *connection).await?;
    }
    Ok(())
}

/// Appends reports to the log.
pub(crate) async fn write_log(
    connection: &mut SqliteConnection,
    log: &[NewReport<'_>],
) -> Result<(), sqlx::Error> {
    for portion in portions(log) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "insert into reports (
                 id, channel_id, sid, revision, effect, status, recipient, sender, arrived_at,
                 credential_id, error_code, error_text, idempotency_token, fields
             ) ",
        );
        query.push_values(portion, |mut row, new| {
            let report = new.report;
            let error = report.error.as_ref();
            row.push_bind(new.id)
                .push_bind(report.key.channel.as_str())
                .push_bind(report.key.sid.to_compact())
                .push_bind(i64::try_from(new.revision).unwrap_or(i64::MAX))
                .push_bind(new.effect.as_str())
                .push_bind(report.status.as_str())
                .push_bind(report.recipient.reveal())
                .push_bind(report.sender.reveal())
                .push_bind(report.arrived_at.unix_micros())
                .push_bind(report.credential.0)
                .push_bind(error.map(|error| error.code.as_str()))
                .push_bind(error.map(|error| error.text.as_str()))
                .push_bind(report.idempotency_token.as_deref())
                .push_bind(report.fields.to_json());
        });
        query.build().execute(&mut *connection).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_are_few_and_leave_nothing_out() {
        for (count, sizes) in [
            (0, vec![]),
            (1, vec![1]),
            (10, vec![8, 1, 1]),
            (256, vec![128, 128]),
            (170, vec![128, 32, 8, 1, 1]),
        ] {
            let rows: Vec<_> = (0..count).collect();
            let cut: Vec<_> = portions(&rows).collect();
            assert_eq!(
                cut.iter().map(|portion| portion.len()).collect::<Vec<_>>(),
                sizes
            );
            assert_eq!(cut.concat(), rows);
        }
    }
}
