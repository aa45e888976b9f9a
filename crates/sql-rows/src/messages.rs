//! Rows of messages and of the report log.

use domain::message::{MessageError, Parties, Timeline};
use domain::page::{MessageCursor, Page, PageSize};
use domain::report::{ReportError, ReportFields};
use domain::seen_reports::SeenReports;
use domain::{
    Address, Alias, CredentialId, ErrorCode, ErrorText, LoggedReport, Message, MessageState,
    Report, ReportedStatus,
};
use ports::StoreError;
use ports::reports::MessageWithReports;
use uuid::Uuid;

use crate::aliases::message_sid;
use crate::error::corrupt;
use crate::values::{StoredList, StoredTime, address, count, key, optional_time, time};

const MESSAGES: &str = "messages";
const REPORTS: &str = "reports";

/// A row of `messages`.
#[derive(Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "columns of the table")]
pub struct MessageRow<T, L> {
    pub channel_id: String,
    pub sid: Vec<u8>,
    pub recipient: String,
    pub sender: String,
    pub first_reported_at: T,
    pub last_reported_at: T,
    pub duplicates: i64,
    pub seen_mask: i64,
    pub accepted_at: Option<T>,
    pub scheduled_at: Option<T>,
    pub queued_at: Option<T>,
    pub sending_at: Option<T>,
    pub sent_at: Option<T>,
    pub partially_delivered_at: Option<T>,
    pub canceled_at: Option<T>,
    pub failed_at: Option<T>,
    pub undelivered_at: Option<T>,
    pub delivered_at: Option<T>,
    pub read_at: Option<T>,
    pub report_ids: L,
    pub seen_fingerprints: Option<L>,
    pub error_at: Option<T>,
    pub error_code: Option<String>,
    pub error_text: Option<String>,
}

impl<T: StoredTime, L: StoredList<i64> + Clone> MessageRow<T, L> {
    /// Returns the ids of its reports in the log.
    pub fn report_ids(&self) -> Result<Vec<i64>, StoreError> {
        let ids = self.report_ids.clone().into_list();
        ids.map_err(corrupt(MESSAGES, "report_ids"))
    }

    /// Converts the row together with the rows of its reports, and the id of the message that it
    /// is an alias of.
    pub fn with_reports(
        self,
        reports: Vec<ReportRow<T>>,
        alias_of: Option<&[u8]>,
    ) -> Result<MessageWithReports, StoreError> {
        let reports = reports.into_iter().map(LoggedReport::try_from);
        Ok(MessageWithReports {
            message: self.try_into()?,
            alias_of: alias_of.map(message_sid).transpose()?,
            reports: reports.collect::<Result<_, _>>()?,
        })
    }
}

/// The place of a message in the list.
#[derive(Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "columns of the table")]
pub struct PlaceRow<T> {
    pub first_reported_at: T,
    pub channel_id: String,
    pub sid: Vec<u8>,
}

impl<T: StoredTime> TryFrom<PlaceRow<T>> for MessageCursor {
    type Error = StoreError;

    fn try_from(row: PlaceRow<T>) -> Result<Self, StoreError> {
        Ok(Self {
            first_reported_at: time(row.first_reported_at, MESSAGES, "first_reported_at")?,
            key: key(&row.channel_id, &row.sid, MESSAGES)?,
        })
    }
}

/// What was read for a page of messages.
#[derive(Debug)]
pub struct PageRows<T, L> {
    /// The messages that match: one more than the page has, if there are as many.
    pub rows: Vec<MessageRow<T, L>>,
    /// The last message examined, if the limit ended the scan before the page was full.
    pub scan_end: Option<PlaceRow<T>>,
}

impl<T: StoredTime, L: StoredList<i64>> PageRows<T, L> {
    /// Returns the page.
    pub fn into_page(self, size: PageSize) -> Result<Page<Message, MessageCursor>, StoreError> {
        let messages = self.rows.into_iter().map(Message::try_from);
        let page = Page::of_messages(messages.collect::<Result<_, _>>()?, size);
        Ok(page.or_after(self.scan_end.map(MessageCursor::try_from).transpose()?))
    }
}

impl<T: StoredTime, L> MessageRow<T, L> {
    fn state(&self) -> Result<MessageState, StoreError> {
        let optional_time = |stored, column| optional_time(stored, MESSAGES, column);
        let timeline = Timeline::from_times([
            optional_time(self.accepted_at, "accepted_at")?,
            optional_time(self.scheduled_at, "scheduled_at")?,
            optional_time(self.queued_at, "queued_at")?,
            optional_time(self.sending_at, "sending_at")?,
            optional_time(self.sent_at, "sent_at")?,
            optional_time(self.partially_delivered_at, "partially_delivered_at")?,
            optional_time(self.canceled_at, "canceled_at")?,
            optional_time(self.failed_at, "failed_at")?,
            optional_time(self.undelivered_at, "undelivered_at")?,
            optional_time(self.delivered_at, "delivered_at")?,
            optional_time(self.read_at, "read_at")?,
        ]);
        let code = self.error_code.as_deref();
        let error = report_error(code, self.error_text.as_deref(), MESSAGES)?;
        let error = optional_time(self.error_at, "error_at")?
            .zip(error)
            .map(|(reported_at, error)| MessageError { reported_at, error });
        Ok(MessageState::from_parts(timeline, error))
    }
}

impl<T: StoredTime, L: StoredList<i64>> TryFrom<MessageRow<T, L>> for Message {
    type Error = StoreError;

    fn try_from(row: MessageRow<T, L>) -> Result<Self, StoreError> {
        let state = row.state()?;
        let mask = u32::try_from(row.seen_mask).map_err(corrupt(MESSAGES, "seen_mask"))?;
        let fingerprints = row.seen_fingerprints.map(StoredList::into_list).transpose();
        let fingerprints = fingerprints.map_err(corrupt(MESSAGES, "seen_fingerprints"))?;
        Ok(Self {
            key: key(&row.channel_id, &row.sid, MESSAGES)?,
            state,
            parties: Parties {
                first_reported_at: time(row.first_reported_at, MESSAGES, "first_reported_at")?,
                recipient: address(&row.recipient, MESSAGES, "recipient")?,
                sender: sender(&row.sender, MESSAGES)?,
            },
            last_reported_at: time(row.last_reported_at, MESSAGES, "last_reported_at")?,
            seen: SeenReports::from_parts(mask, fingerprints.unwrap_or_default()),
            duplicates: count(row.duplicates, MESSAGES, "duplicates")?,
        })
    }
}

/// A row of `reports`.
#[derive(Debug)]
#[expect(missing_docs, reason = "columns of the table")]
pub struct ReportRow<T> {
    pub id: i64,
    pub arrived_at: T,
    pub credential_id: Uuid,
    pub revision: i64,
    pub channel_id: String,
    pub sid: Vec<u8>,
    pub status: String,
    pub effect: String,
    pub recipient: String,
    pub sender: String,
    pub error_code: Option<String>,
    pub error_text: Option<String>,
    pub idempotency_token: Option<String>,
    pub happened_at: Option<T>,
    pub fields: String,
}

impl<T: StoredTime> TryFrom<ReportRow<T>> for LoggedReport {
    type Error = StoreError;

    fn try_from(row: ReportRow<T>) -> Result<Self, StoreError> {
        let happened_at = row.happened_at.map(|at| time(at, REPORTS, "happened_at"));
        Ok(Self {
            id: row.id,
            revision: row.revision,
            effect: row.effect.parse().map_err(corrupt(REPORTS, "effect"))?,
            report: Report {
                key: key(&row.channel_id, &row.sid, REPORTS)?,
                alias: Alias::None,
                status: ReportedStatus::parse(&row.status).map_err(corrupt(REPORTS, "status"))?,
                error: report_error(
                    row.error_code.as_deref(),
                    row.error_text.as_deref(),
                    REPORTS,
                )?,
                recipient: address(&row.recipient, REPORTS, "recipient")?,
                sender: sender(&row.sender, REPORTS)?,
                arrived_at: time(row.arrived_at, REPORTS, "arrived_at")?,
                happened_at: happened_at.transpose()?,
                credential: CredentialId(row.credential_id),
                idempotency_token: row.idempotency_token,
                fields: ReportFields::from_json(&row.fields).map_err(corrupt(REPORTS, "fields"))?,
            },
        })
    }
}

/// Parses a column `sender`, which is empty if there is none.
fn sender(text: &str, table: &'static str) -> Result<Option<Address>, StoreError> {
    let text = Some(text).filter(|text| !text.is_empty());
    text.map(|text| address(text, table, "sender")).transpose()
}

/// Returns what a column `sender` stores: the address, or an empty text.
#[must_use]
pub fn sender_column(sender: Option<&Address>) -> &str {
    sender.map_or("", Address::reveal)
}

fn report_error(
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
