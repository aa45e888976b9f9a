//! Rows as they stand in the tables, and the way back to the domain's values.

use domain::message::{MessageError, Parties, Timeline};
use domain::report::{ReportError, ReportFields};
use domain::seen_reports::SeenReports;
use domain::{
    Address, ChannelId, CredentialId, Effect, ErrorCode, ErrorText, LoggedReport, Message,
    MessageKey, MessageSid, MessageState, Report, ReportedStatus, Timestamp,
};
use ports::StoreError;
use uuid::Uuid;

use crate::error::corrupt;

const MESSAGES: &str = "messages";
const REPORTS: &str = "reports";

#[derive(Debug, sqlx::FromRow)]
pub(crate) struct MessageRow {
    pub(crate) channel_id: String,
    pub(crate) sid: Vec<u8>,
    pub(crate) recipient: String,
    pub(crate) sender: String,
    pub(crate) first_reported_at: i64,
    pub(crate) last_reported_at: i64,
    pub(crate) duplicates: i64,
    pub(crate) seen_mask: i64,
    pub(crate) accepted_at: Option<i64>,
    pub(crate) scheduled_at: Option<i64>,
    pub(crate) queued_at: Option<i64>,
    pub(crate) sending_at: Option<i64>,
    pub(crate) sent_at: Option<i64>,
    pub(crate) partially_delivered_at: Option<i64>,
    pub(crate) canceled_at: Option<i64>,
    pub(crate) failed_at: Option<i64>,
    pub(crate) undelivered_at: Option<i64>,
    pub(crate) delivered_at: Option<i64>,
    pub(crate) read_at: Option<i64>,
    pub(crate) report_ids: String,
    pub(crate) seen_fingerprints: Option<String>,
    pub(crate) error_at: Option<i64>,
    pub(crate) error_code: Option<String>,
    pub(crate) error_text: Option<String>,
}

impl MessageRow {
    /// The ids of its reports in the log.
    pub(crate) fn report_ids(&self) -> Result<Vec<i64>, StoreError> {
        serde_json::from_str(&self.report_ids).map_err(corrupt(MESSAGES, "report_ids"))
    }

    fn state(&self) -> Result<MessageState, StoreError> {
        let timeline = Timeline::from_times([
            optional_time(self.accepted_at, MESSAGES, "accepted_at")?,
            optional_time(self.scheduled_at, MESSAGES, "scheduled_at")?,
            optional_time(self.queued_at, MESSAGES, "queued_at")?,
            optional_time(self.sending_at, MESSAGES, "sending_at")?,
            optional_time(self.sent_at, MESSAGES, "sent_at")?,
            optional_time(
                self.partially_delivered_at,
                MESSAGES,
                "partially_delivered_at",
            )?,
            optional_time(self.canceled_at, MESSAGES, "canceled_at")?,
            optional_time(self.failed_at, MESSAGES, "failed_at")?,
            optional_time(self.undelivered_at, MESSAGES, "undelivered_at")?,
            optional_time(self.delivered_at, MESSAGES, "delivered_at")?,
            optional_time(self.read_at, MESSAGES, "read_at")?,
        ]);
        let reported_at = optional_time(self.error_at, MESSAGES, "error_at")?;
        let error = error(
            self.error_code.as_deref(),
            self.error_text.as_deref(),
            MESSAGES,
        )?;
        let error = reported_at
            .zip(error)
            .map(|(reported_at, error)| MessageError { reported_at, error });
        Ok(MessageState::from_parts(timeline, error))
    }

    fn seen(&self) -> Result<SeenReports, StoreError> {
        let mask = u32::try_from(self.seen_mask).map_err(corrupt(MESSAGES, "seen_mask"))?;
        let prints = match &self.seen_fingerprints {
            None => Vec::new(),
            Some(prints) => {
                serde_json::from_str(prints).map_err(corrupt(MESSAGES, "seen_fingerprints"))?
            }
        };
        Ok(SeenReports::from_parts(mask, prints))
    }
}

impl TryFrom<MessageRow> for Message {
    type Error = StoreError;

    fn try_from(row: MessageRow) -> Result<Self, StoreError> {
        Ok(Self {
            key: key(&row.channel_id, &row.sid, MESSAGES)?,
            state: row.state()?,
            parties: Parties {
                first_reported_at: time(row.first_reported_at, MESSAGES, "first_reported_at")?,
                recipient: address(&row.recipient, MESSAGES, "recipient")?,
                sender: address(&row.sender, MESSAGES, "sender")?,
            },
            last_reported_at: time(row.last_reported_at, MESSAGES, "last_reported_at")?,
            seen: row.seen()?,
            duplicates: u64::try_from(row.duplicates).map_err(corrupt(MESSAGES, "duplicates"))?,
        })
    }
}

#[derive(Debug)]
pub(crate) struct ReportRow {
    pub(crate) id: i64,
    pub(crate) channel_id: String,
    pub(crate) sid: Vec<u8>,
    pub(crate) revision: i64,
    pub(crate) effect: String,
    pub(crate) status: String,
    pub(crate) recipient: String,
    pub(crate) sender: String,
    pub(crate) arrived_at: i64,
    pub(crate) credential_id: Vec<u8>,
    pub(crate) error_code: Option<String>,
    pub(crate) error_text: Option<String>,
    pub(crate) idempotency_token: Option<String>,
    pub(crate) fields: String,
}

impl TryFrom<ReportRow> for LoggedReport {
    type Error = StoreError;

    fn try_from(row: ReportRow) -> Result<Self, StoreError> {
        let effect = Effect::ALL
            .into_iter()
            .find(|effect| effect.as_str() == row.effect);
        let credential = uuid(&row.credential_id, REPORTS, "credential_id")?;
        Ok(Self {
            id: row.id,
            revision: row.revision,
            effect: effect.ok_or_else(|| corrupt(REPORTS, "effect")("no effect is called so"))?,
            report: Report {
                key: key(&row.channel_id, &row.sid, REPORTS)?,
                status: ReportedStatus::parse(&row.status).map_err(corrupt(REPORTS, "status"))?,
                error: error(
                    row.error_code.as_deref(),
                    row.error_text.as_deref(),
                    REPORTS,
                )?,
                recipient: address(&row.recipient, REPORTS, "recipient")?,
                sender: address(&row.sender, REPORTS, "sender")?,
                arrived_at: time(row.arrived_at, REPORTS, "arrived_at")?,
                credential: CredentialId(credential),
                idempotency_token: row.idempotency_token,
                fields: ReportFields::from_json(&row.fields).map_err(corrupt(REPORTS, "fields"))?,
            },
        })
    }
}

pub(crate) fn time(
    micros: i64,
    table: &'static str,
    column: &'static str,
) -> Result<Timestamp, StoreError> {
    Timestamp::from_unix_micros(micros).map_err(corrupt(table, column))
}

pub(crate) fn optional_time(
    micros: Option<i64>,
    table: &'static str,
    column: &'static str,
) -> Result<Option<Timestamp>, StoreError> {
    micros.map(|micros| time(micros, table, column)).transpose()
}

pub(crate) fn uuid(
    bytes: &[u8],
    table: &'static str,
    column: &'static str,
) -> Result<Uuid, StoreError> {
    Uuid::from_slice(bytes).map_err(corrupt(table, column))
}

pub(crate) fn address(
    text: &str,
    table: &'static str,
    column: &'static str,
) -> Result<Address, StoreError> {
    Address::parse(text).map_err(corrupt(table, column))
}

pub(crate) fn key(
    channel_id: &str,
    sid: &[u8],
    table: &'static str,
) -> Result<MessageKey, StoreError> {
    Ok(MessageKey {
        channel: ChannelId::parse(channel_id).map_err(corrupt(table, "channel_id"))?,
        sid: MessageSid::from_compact(sid).map_err(corrupt(table, "sid"))?,
    })
}

fn error(
    code: Option<&str>,
    text: Option<&str>,
    table: &'static str,
) -> Result<Option<ReportError>, StoreError> {
    let Some(code) = code else {
        return Ok(None);
    };
    Ok(Some(ReportError {
        code: ErrorCode::parse(code).map_err(corrupt(table, "error_code"))?,
        text: ErrorText::new(text.unwrap_or_default()),
    }))
}
