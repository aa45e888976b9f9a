//! Rows as they stand in the tables, and the way back to the domain's values.

use domain::error_code::ErrorText;
use domain::message::{MessageError, Parties, Timeline};
use domain::report::{ReportError, ReportFields};
use domain::seen_reports::SeenReports;
use domain::{
    Address, ChannelId, CredentialId, Effect, ErrorCode, LoggedReport, Message, MessageKey,
    MessageSid, MessageState, Report, ReportedStatus, Timestamp,
};
use ports::StoreError;
use time::OffsetDateTime;
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
    pub(crate) first_reported_at: OffsetDateTime,
    pub(crate) last_reported_at: OffsetDateTime,
    pub(crate) duplicates: i64,
    pub(crate) seen_mask: i32,
    pub(crate) accepted_at: Option<OffsetDateTime>,
    pub(crate) scheduled_at: Option<OffsetDateTime>,
    pub(crate) queued_at: Option<OffsetDateTime>,
    pub(crate) sending_at: Option<OffsetDateTime>,
    pub(crate) sent_at: Option<OffsetDateTime>,
    pub(crate) partially_delivered_at: Option<OffsetDateTime>,
    pub(crate) canceled_at: Option<OffsetDateTime>,
    pub(crate) failed_at: Option<OffsetDateTime>,
    pub(crate) undelivered_at: Option<OffsetDateTime>,
    pub(crate) delivered_at: Option<OffsetDateTime>,
    pub(crate) read_at: Option<OffsetDateTime>,
    pub(crate) report_ids: Vec<i64>,
    pub(crate) seen_fingerprints: Option<Vec<i64>>,
    pub(crate) error_at: Option<OffsetDateTime>,
    pub(crate) error_code: Option<String>,
    pub(crate) error_text: Option<String>,
}

impl MessageRow {
    fn timeline(&self) -> Result<Timeline, StoreError> {
        Ok(Timeline::from_times([
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
        ]))
    }

    fn error(&self) -> Result<Option<MessageError>, StoreError> {
        let (Some(at), Some(code)) = (self.error_at, &self.error_code) else {
            return Ok(None);
        };
        Ok(Some(MessageError {
            reported_at: time(at, MESSAGES, "error_at")?,
            error: ReportError {
                code: ErrorCode::parse(code).map_err(corrupt(MESSAGES, "error_code"))?,
                text: ErrorText::new(self.error_text.as_deref().unwrap_or_default()),
            },
        }))
    }
}

impl TryFrom<MessageRow> for Message {
    type Error = StoreError;

    fn try_from(row: MessageRow) -> Result<Self, StoreError> {
        let state = MessageState::from_parts(row.timeline()?, row.error()?);
        let mask = u32::try_from(row.seen_mask).map_err(corrupt(MESSAGES, "seen_mask"))?;
        Ok(Self {
            key: key(&row.channel_id, &row.sid, MESSAGES)?,
            state,
            parties: Parties {
                first_reported_at: time(row.first_reported_at, MESSAGES, "first_reported_at")?,
                recipient: Address::parse(&row.recipient)
                    .map_err(corrupt(MESSAGES, "recipient"))?,
                sender: Address::parse(&row.sender).map_err(corrupt(MESSAGES, "sender"))?,
            },
            last_reported_at: time(row.last_reported_at, MESSAGES, "last_reported_at")?,
            seen: SeenReports::from_parts(mask, row.seen_fingerprints.unwrap_or_default()),
            duplicates: u64::try_from(row.duplicates).map_err(corrupt(MESSAGES, "duplicates"))?,
        })
    }
}

#[derive(Debug)]
pub(crate) struct ReportRow {
    pub(crate) id: i64,
    pub(crate) arrived_at: OffsetDateTime,
    pub(crate) credential_id: Uuid,
    pub(crate) revision: i32,
    pub(crate) channel_id: String,
    pub(crate) sid: Vec<u8>,
    pub(crate) status: String,
    pub(crate) effect: String,
    pub(crate) recipient: String,
    pub(crate) sender: String,
    pub(crate) error_code: Option<String>,
    pub(crate) error_text: Option<String>,
    pub(crate) idempotency_token: Option<String>,
    pub(crate) fields: String,
}

impl TryFrom<ReportRow> for LoggedReport {
    type Error = StoreError;

    fn try_from(row: ReportRow) -> Result<Self, StoreError> {
        let error = match row.error_code {
            None => None,
            Some(code) => Some(ReportError {
                code: ErrorCode::parse(&code).map_err(corrupt(REPORTS, "error_code"))?,
                text: ErrorText::new(row.error_text.as_deref().unwrap_or_default()),
            }),
        };
        let effect = Effect::ALL
            .into_iter()
            .find(|effect| effect.as_str() == row.effect)
            .ok_or_else(|| corrupt(REPORTS, "effect")("no effect is called so"))?;
        Ok(Self {
            id: row.id,
            revision: i64::from(row.revision),
            effect,
            report: Report {
                key: key(&row.channel_id, &row.sid, REPORTS)?,
                status: ReportedStatus::parse(&row.status).map_err(corrupt(REPORTS, "status"))?,
                error,
                recipient: Address::parse(&row.recipient).map_err(corrupt(REPORTS, "recipient"))?,
                sender: Address::parse(&row.sender).map_err(corrupt(REPORTS, "sender"))?,
                arrived_at: time(row.arrived_at, REPORTS, "arrived_at")?,
                credential: CredentialId(row.credential_id),
                idempotency_token: row.idempotency_token,
                fields: ReportFields::from_json(&row.fields).map_err(corrupt(REPORTS, "fields"))?,
            },
        })
    }
}

pub(crate) fn time(
    time: OffsetDateTime,
    table: &'static str,
    column: &'static str,
) -> Result<Timestamp, StoreError> {
    Timestamp::try_from(time).map_err(corrupt(table, column))
}

pub(crate) fn optional_time(
    moment: Option<OffsetDateTime>,
    table: &'static str,
    column: &'static str,
) -> Result<Option<Timestamp>, StoreError> {
    moment.map(|moment| time(moment, table, column)).transpose()
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
