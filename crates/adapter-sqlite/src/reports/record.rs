//! Recording a batch: a handful of statements, whatever its size.
//!
//! While it holds the write lock it reads the messages of the batch, lets `domain` decide what
//! each report does to them, and writes the messages and the new part of the log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use domain::{Effect, Message, MessageKey, MessageSid, Report};
use ports::StoreError;
use sqlx::{FromRow as _, Row as _, SqliteConnection};

use crate::bulk::End;
use crate::error::store_error;
use crate::json;
use crate::reports::aliases;
use crate::reports::batch::{Batch, StoredMessage};
use crate::reports::write::write;
use crate::rows::MessageRow;

/// How many reports are folded at once, which bounds memory and the engine's cache.
const MAX_FOLDED_REPORTS: usize = 512;

/// Reads the newest id of the log and the messages of a batch. Several statements, which the
/// compiler cannot check.
const READ: &str = "
    select coalesce(max(seq), 0) from sqlite_sequence where name = 'reports';
    select message.channel_id, message.sid, message.recipient, message.sender,
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
        and message.sid = unhex(wanted.value ->> 1)";

static BEGIN_AND_READ: LazyLock<String> = LazyLock::new(|| format!("begin immediate; {READ}"));

/// Records reports and new aliases in one transaction, which it begins and commits.
pub(crate) async fn record(
    connection: &mut SqliteConnection,
    reports: &[Report],
    new_aliases: &BTreeMap<MessageKey, MessageSid>,
) -> Result<Vec<Effect>, StoreError> {
    let mut effects = Vec::with_capacity(reports.len());
    let mut parts = reports.chunks(MAX_FOLDED_REPORTS).peekable();
    let mut text = BEGIN_AND_READ.as_str();
    while let Some(part) = parts.next() {
        let mut batch = read(connection, part, text).await?;
        effects.extend(part.iter().map(|report| batch.absorb(report)));
        let messages: Vec<_> = batch.messages.values().collect();
        let last = parts.peek().is_none();
        let commits = last && new_aliases.is_empty();
        let end = if commits { End::Commit } else { End::Open };
        write(connection, &messages, &batch.log, end)
            .await
            .map_err(store_error("report"))?;
        text = READ;
    }
    if !new_aliases.is_empty() {
        let inserted = aliases::insert(&mut *connection, new_aliases).await;
        inserted.map_err(store_error(aliases::MESSAGE_ALIASES))?;
        let committed = sqlx::query("commit").execute(connection).await;
        committed.map_err(store_error(aliases::MESSAGE_ALIASES))?;
    }
    Ok(effects)
}

/// Reads what is stored of the messages of a batch, in one round trip to the connection's thread.
async fn read<'a>(
    connection: &mut SqliteConnection,
    reports: &'a [Report],
    text: &'static str,
) -> Result<Batch<'a>, StoreError> {
    let keys: BTreeSet<&MessageKey> = reports.iter().map(|report| &report.key).collect();
    let rows = sqlx::query(text)
        .bind(json::keys(keys.iter().copied()))
        .fetch_all(connection)
        .await
        .map_err(store_error("messages"))?;
    let (log, rows) = rows
        .split_first()
        .ok_or_else(|| store_error("reports")(sqlx::Error::RowNotFound))?;
    let mut batch = Batch {
        messages: BTreeMap::new(),
        log: Vec::with_capacity(reports.len()),
        last_id: log.try_get(0).map_err(store_error("reports"))?,
    };
    for row in rows {
        let row = MessageRow::from_row(row).map_err(store_error("messages"))?;
        let report_ids = row.report_ids()?;
        let message = Message::try_from(row)?;
        if let Some(key) = keys.get(&message.key) {
            let stored = StoredMessage {
                message,
                report_ids,
            };
            batch.messages.insert(*key, stored);
        }
    }
    Ok(batch)
}
