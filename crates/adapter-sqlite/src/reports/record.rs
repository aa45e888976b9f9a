//! Recording a batch: a handful of statements, whatever its size.
//!
//! Under the lock of the one writer it reads the messages of the batch, asks `domain` what
//! each report does to them, and writes back the messages and the new part of the log.

use std::borrow::Cow;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use domain::{Effect, Message, MessageKey, Report};
use ports::StoreError;
use sqlx::{FromRow as _, Row as _, SqliteConnection};

use crate::bulk::{self, Then};
use crate::error::store_error;
use crate::json;
use crate::rows::MessageRow;

/// The greatest number of reports that are folded at once: what stands in memory and in the
/// engine's cache meanwhile is bounded.
pub(crate) const BATCH: usize = 512;

/// What comes before a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Starts {
    /// The beginning of the step, which takes the write lock.
    Step,
    /// Nothing: the step goes on.
    Nothing,
}

/// Records up to [`BATCH`] reports.
pub(crate) async fn record(
    connection: &mut SqliteConnection,
    reports: &[Report],
    starts: Starts,
    then: Then,
) -> Result<Vec<Effect>, StoreError> {
    let mut batch = Batch::look(connection, reports, starts).await?;
    let effects = reports.iter().map(|report| batch.absorb(report)).collect();
    let messages: Vec<_> = batch.messages.values().collect();
    bulk::write(connection, &messages, &batch.log, then)
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
pub(crate) struct Kept {
    pub(crate) message: Message,
    pub(crate) report_ids: Vec<i64>,
}

/// A report that is new to the log.
pub(crate) struct NewReport<'a> {
    pub(crate) id: i64,
    pub(crate) revision: u64,
    pub(crate) effect: Effect,
    /// Erased, if its message is.
    pub(crate) report: Cow<'a, Report>,
}

impl<'a> Batch<'a> {
    /// What is there already, in one hand-over to the connection's thread.
    async fn look(
        connection: &mut SqliteConnection,
        reports: &'a [Report],
        starts: Starts,
    ) -> Result<Self, StoreError> {
        let keys: BTreeSet<&MessageKey> = reports.iter().map(|report| &report.key).collect();
        let text = match starts {
            Starts::Step => TEXTS.beginning.as_str(),
            Starts::Nothing => TEXTS.going_on,
        };
        let found = sqlx::query(text)
            .bind(json::keys(keys.iter().copied()))
            .fetch_all(connection)
            .await
            .map_err(store_error("messages"))?;
        // The first row is that of the log.
        let (log, found) = found
            .split_first()
            .ok_or_else(|| store_error("reports")(sqlx::Error::RowNotFound))?;
        let mut batch = Self {
            messages: BTreeMap::new(),
            log: Vec::with_capacity(reports.len()),
            last_id: log.try_get(0).map_err(store_error("reports"))?,
        };
        for row in found {
            let row = MessageRow::from_row(row).map_err(store_error("messages"))?;
            let report_ids = row.report_ids()?;
            let message = Message::try_from(row)?;
            if let Some(key) = keys.get(&message.key) {
                batch.messages.insert(
                    *key,
                    Kept {
                        message,
                        report_ids,
                    },
                );
            }
        }
        Ok(batch)
    }

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
                report: if kept.message.is_erased() {
                    Cow::Owned(report.erased())
                } else {
                    Cow::Borrowed(report)
                },
            });
        }
        effect
    }
}

struct Texts {
    beginning: String,
    going_on: &'static str,
}

/// Several statements in one text, which the compiler cannot check.
static TEXTS: LazyLock<Texts> = LazyLock::new(|| {
    let going_on = "select coalesce(max(seq), 0) from sqlite_sequence where name = 'reports';
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
    Texts {
        beginning: format!("begin immediate; {going_on}"),
        going_on,
    }
});
