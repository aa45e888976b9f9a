//! Conversions of columns whose types differ between the engines: times, lists, keys, numbers.

use domain::{Address, ChannelId, MessageKey, MessageSid, Timestamp};
use ports::StoreError;
use ports::error::Source;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;

use crate::error::corrupt;

/// A time as an engine stores it.
pub trait StoredTime: Copy + Send + Sync {
    /// Fails if it is beyond the range of [`Timestamp`].
    fn timestamp(self) -> Result<Timestamp, Source>;
}

impl StoredTime for OffsetDateTime {
    fn timestamp(self) -> Result<Timestamp, Source> {
        Ok(Timestamp::try_from(self)?)
    }
}

/// Microseconds since 1970.
impl StoredTime for i64 {
    fn timestamp(self) -> Result<Timestamp, Source> {
        Ok(Timestamp::from_unix_micros(self)?)
    }
}

/// A list as an engine stores it.
pub trait StoredList<T> {
    /// Fails if the list is malformed.
    fn into_list(self) -> Result<Vec<T>, Source>;
}

impl<T> StoredList<T> for Vec<T> {
    fn into_list(self) -> Result<Self, Source> {
        Ok(self)
    }
}

/// A JSON array.
impl<T: DeserializeOwned> StoredList<T> for String {
    fn into_list(self) -> Result<Vec<T>, Source> {
        Ok(serde_json::from_str(&self)?)
    }
}

/// Converts a time of `column` in `table`.
pub fn time(
    stored: impl StoredTime,
    table: &'static str,
    column: &'static str,
) -> Result<Timestamp, StoreError> {
    stored.timestamp().map_err(corrupt(table, column))
}

/// Converts a time that may be null.
pub fn optional_time(
    stored: Option<impl StoredTime>,
    table: &'static str,
    column: &'static str,
) -> Result<Option<Timestamp>, StoreError> {
    stored.map(|stored| time(stored, table, column)).transpose()
}

/// Converts the two columns that identify a message.
pub fn key(channel_id: &str, sid: &[u8], table: &'static str) -> Result<MessageKey, StoreError> {
    Ok(MessageKey {
        channel: ChannelId::parse(channel_id).map_err(corrupt(table, "channel_id"))?,
        sid: MessageSid::from_compact(sid).map_err(corrupt(table, "sid"))?,
    })
}

/// Converts an address.
pub(crate) fn address(
    text: &str,
    table: &'static str,
    column: &'static str,
) -> Result<Address, StoreError> {
    Address::parse(text).map_err(corrupt(table, column))
}

/// Converts a number that is never negative.
pub(crate) fn count(
    number: i64,
    table: &'static str,
    column: &'static str,
) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(corrupt(table, column))
}
