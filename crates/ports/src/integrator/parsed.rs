//! What a body contains: reports, and what is wrong with the rest.

use domain::report::{ReportError, ReportFields};
use domain::{
    Address, Alias, ChannelId, CredentialId, ErrorCode, MessageKey, MessageSid, Report,
    ReportedStatus, Timestamp,
};

/// One report as parsed from a body. The use case adds channel, credential and time of arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedReport {
    /// Its place among the elements of the body, from 0.
    pub index: usize,
    /// The id of the message.
    pub sid: MessageSid,
    /// What it says about other ids of the message.
    pub alias: Alias,
    /// The reported status.
    pub status: ReportedStatus,
    /// The reported error.
    pub error: Option<ReportError>,
    /// The recipient of the message.
    pub recipient: Address,
    /// The sender of the message, if the report has it.
    pub sender: Option<Address>,
    /// When it happened, by the integrator's clock, if the report says so.
    pub happened_at: Option<Timestamp>,
    /// All other fields.
    pub fields: ReportFields,
    /// The integrator's token for this request, the same on every retry.
    pub idempotency_token: Option<String>,
}

impl ParsedReport {
    /// Returns the report as it arrived on a channel.
    #[must_use]
    pub fn on_arrival(
        self,
        channel: ChannelId,
        arrived_at: Timestamp,
        credential: CredentialId,
    ) -> Report {
        Report {
            key: MessageKey {
                channel,
                sid: self.sid,
            },
            alias: self.alias,
            status: self.status,
            error: self.error,
            recipient: self.recipient,
            sender: self.sender,
            arrived_at,
            happened_at: self.happened_at,
            credential,
            idempotency_token: self.idempotency_token,
            fields: self.fields,
        }
    }
}

/// How many invalid elements of a body are described. More than any real batch has, in which every
/// element may be invalid.
pub const MAX_INVALID_ELEMENTS: usize = 10_000;

/// What a body contains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParsedBody {
    /// Its reports, in their order.
    pub reports: Vec<ParsedReport>,
    /// Elements that are not valid reports, the first [`MAX_INVALID_ELEMENTS`] of them.
    pub invalid: Vec<InvalidElement>,
    /// How many more elements are not valid reports.
    pub more_invalid: usize,
    /// The kinds of the elements that are no reports at all, like incoming messages: counted, and
    /// forwarded with the whole request if the channel has a forward URL. A kind is a word of a
    /// few, never content.
    pub ignored: Vec<&'static str>,
    /// Reports that the integrator could not deliver.
    pub callback_failures: Vec<CallbackFailure>,
}

impl ParsedBody {
    /// Adds an element that is not a valid report. Beyond [`MAX_INVALID_ELEMENTS`] it is only
    /// counted: a body of a few megabytes may have millions.
    pub fn add_invalid(&mut self, index: usize, error: ValidationError) {
        if self.invalid.len() < MAX_INVALID_ELEMENTS {
            self.invalid.push(InvalidElement { index, error });
        } else {
            self.more_invalid += 1;
        }
    }
}

impl From<ParsedReport> for ParsedBody {
    fn from(report: ParsedReport) -> Self {
        Self {
            reports: vec![report],
            ..Self::default()
        }
    }
}

/// The integrator says that it could not deliver a report of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackFailure {
    /// The id of the message.
    pub sid: MessageSid,
    /// The integrator's code for the reason.
    pub code: ErrorCode,
    /// The path of the URL that it called, if it says so.
    pub path: Option<String>,
}

/// An element of a body that is not a valid report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidElement {
    /// Its place in the body, from 0.
    pub index: usize,
    /// What is wrong.
    pub error: ValidationError,
}

/// Why nothing of a body can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// It is not what the integrator sends.
    Invalid(ValidationError),
    /// It has more fields or elements than any real one.
    TooLarge(&'static str),
}

/// Why a report is invalid. It never contains the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidationError {
    /// The name of the field.
    pub field: &'static str,
    /// The kind of error.
    pub kind: ValidationErrorKind,
    /// What would be valid.
    pub expected: String,
}

/// How a field can be invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValidationErrorKind {
    /// It is absent or blank.
    Missing,
    /// It occurs more than once with different values.
    Conflicting,
    /// It is longer than a store accepts.
    TooLong,
    /// Its value is not valid.
    Invalid,
}
