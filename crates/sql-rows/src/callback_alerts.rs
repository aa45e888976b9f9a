//! Rows of `callback_alerts`.

use domain::reconciliation::{CallbackAlert, CallbackAlertCount};
use domain::{ErrorCode, MessageSid};
use ports::StoreError;

use crate::error::corrupt;
use crate::values::{StoredTime, count, key, time};

/// The table of alerts that a report could not be delivered.
pub const CALLBACK_ALERTS: &str = "callback_alerts";

/// A row of `callback_alerts`.
#[derive(Debug)]
#[expect(missing_docs, reason = "columns of the table")]
pub struct CallbackAlertRow<T> {
    pub channel_id: String,
    pub sid: Vec<u8>,
    pub code: String,
    pub alerted_at: T,
}

/// The alerts of a channel that have the same code.
#[derive(Debug)]
#[expect(missing_docs, reason = "fields of CallbackAlertCount")]
pub struct CallbackAlertCountRow<T> {
    pub code: String,
    pub messages: i64,
    pub first_at: T,
    pub newest: Vec<u8>,
    pub newest_at: T,
}

impl<T: StoredTime> TryFrom<CallbackAlertRow<T>> for CallbackAlert {
    type Error = StoreError;

    fn try_from(row: CallbackAlertRow<T>) -> Result<Self, StoreError> {
        const TABLE: &str = CALLBACK_ALERTS;
        let key = key(&row.channel_id, &row.sid, TABLE)?;
        Ok(Self {
            channel: key.channel,
            sid: key.sid,
            code: ErrorCode::parse(&row.code).map_err(corrupt(TABLE, "code"))?,
            alerted_at: time(row.alerted_at, TABLE, "alerted_at")?,
        })
    }
}

impl<T: StoredTime> TryFrom<CallbackAlertCountRow<T>> for CallbackAlertCount {
    type Error = StoreError;

    fn try_from(row: CallbackAlertCountRow<T>) -> Result<Self, StoreError> {
        const TABLE: &str = CALLBACK_ALERTS;
        Ok(Self {
            code: ErrorCode::parse(&row.code).map_err(corrupt(TABLE, "code"))?,
            messages: count(row.messages, TABLE, "count")?,
            first_at: time(row.first_at, TABLE, "alerted_at")?,
            newest: MessageSid::from_compact(&row.newest).map_err(corrupt(TABLE, "sid"))?,
            newest_at: time(row.newest_at, TABLE, "alerted_at")?,
        })
    }
}
