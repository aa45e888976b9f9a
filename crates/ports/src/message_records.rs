//! The integrator's own records of messages.

use std::time::Duration;

use async_trait::async_trait;
use domain::reconciliation::{AccountSid, ApiKeySecret, ApiKeySid};
use domain::report::ReportError;
use domain::{Address, MessageSid, ReportedStatus, Timestamp};

use crate::error::Source;

/// Access to the records of an account.
#[derive(Clone, Debug)]
pub struct RecordsAccess {
    /// The account.
    pub account: AccountSid,
    /// The API key.
    pub api_key: ApiKeySid,
    /// Its secret.
    pub secret: ApiKeySecret,
}

/// The integrator's record of a message. The content of the message is not part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRecord {
    /// The integrator's message id.
    pub sid: MessageSid,
    /// The current status.
    pub status: ReportedStatus,
    /// The current error.
    pub error: Option<ReportError>,
    /// The recipient.
    pub recipient: Address,
    /// The sender.
    pub sender: Option<Address>,
    /// When the record last changed, by the integrator's clock.
    pub updated_at: Option<Timestamp>,
}

/// Which records to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordsQuery {
    /// The sender of the messages.
    pub sender: Address,
    /// Messages of the UTC day of this time and of later days.
    pub since: Timestamp,
}

/// The place of a page in a list of records, as the integrator names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordsPlace(pub String);

/// A page of records, the newest message first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordsPage {
    /// The records of messages that were sent. Those of incoming messages are left out.
    pub records: Vec<MessageRecord>,
    /// How many records could not be read.
    pub unreadable: u64,
    /// The place of the next page; `None` on the last one.
    pub next: Option<RecordsPlace>,
}

/// Why the integrator did not return records.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// It refuses the API key: revoked, wrong, or without the right to read messages. Repeating the
    /// request cannot help.
    #[error("Twilio refuses the API key (HTTP {status}); it may have been revoked")]
    Denied {
        /// The status of the response.
        status: u16,
    },
    /// It has too many requests of this account. The request was not processed.
    #[error("Twilio answers that there are too many requests of this account")]
    Throttled {
        /// The requested pause.
        after: Option<Duration>,
    },
    /// It is unavailable, too slow or failing. The request may be repeated.
    #[error("Twilio's API is unavailable")]
    Unavailable(#[source] Source),
    /// Its record of this message cannot be read. Those of other messages may be readable.
    #[error("Twilio's record of a message cannot be read")]
    Unreadable(#[source] Source),
    /// It answered something that this program does not understand. Repeating the request cannot
    /// help.
    #[error("Twilio's API gave an unexpected answer")]
    Unexpected(#[source] Source),
}

/// Reads the integrator's own records of messages. One call is one request: callers repeat those
/// that failed, and limit their rate.
#[async_trait]
pub trait MessageRecords: Send + Sync {
    /// Returns the record of a message; `None` if the integrator has none, or has deleted it.
    async fn find(
        &self,
        access: &RecordsAccess,
        sid: &MessageSid,
    ) -> Result<Option<MessageRecord>, RecordsError>;

    /// Returns a page of records: the first one, or that at `place`.
    async fn list(
        &self,
        access: &RecordsAccess,
        query: &RecordsQuery,
        place: Option<&RecordsPlace>,
    ) -> Result<RecordsPage, RecordsError>;
}
