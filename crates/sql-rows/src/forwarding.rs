//! Rows of requests that wait to be forwarded.

use std::collections::{BTreeMap, HashSet};

use domain::crypto::SealedSecret;
use domain::forwarding::{ForwardingBacklog, ForwardingFailure, WaitingRequests};
use domain::{ChannelId, ForwardedRequestKey};
use ports::StoreError;
use ports::forwarding::{ClaimedRequest, NewForwardedRequest, StoredRequest};

use crate::error::corrupt;
use crate::values::{StoredTime, count, optional_time, time};

/// The table of requests that wait to be forwarded.
pub const FORWARDED_REQUESTS: &str = "forwarded_requests";

/// How many requests one step removes because they are too old.
pub const MAX_REMOVED: i64 = 1_000;

/// Requests that arrived later than this many microseconds after the present were stored before the
/// clock was set back.
pub const FUTURE_MICROS: i64 = 3_600_000_000;

/// Requests that are due later than this many microseconds after the present were postponed by a
/// wrong clock: the longest delay is 24 hours.
pub const LONGEST_DELAY_MICROS: i64 = 25 * 3_600_000_000;

/// A claimed row of `forwarded_requests`.
#[derive(Debug)]
#[expect(missing_docs, reason = "columns of the table")]
pub struct ClaimedRow {
    pub channel_id: String,
    pub body_hash: Vec<u8>,
    pub request: Vec<u8>,
    pub attempts: i64,
}

impl TryFrom<ClaimedRow> for ClaimedRequest {
    type Error = StoreError;

    fn try_from(row: ClaimedRow) -> Result<Self, StoreError> {
        let attempts = u32::try_from(row.attempts);
        Ok(Self {
            key: key(&row.channel_id, &row.body_hash)?,
            sealed: SealedSecret(row.request),
            attempts: attempts.map_err(corrupt(FORWARDED_REQUESTS, "attempts"))?,
        })
    }
}

fn key(channel: &str, body_hash: &[u8]) -> Result<ForwardedRequestKey, StoreError> {
    let body_hash = body_hash.try_into();
    Ok(ForwardedRequestKey {
        channel: ChannelId::parse(channel).map_err(corrupt(FORWARDED_REQUESTS, "channel_id"))?,
        body_hash: body_hash.map_err(corrupt(FORWARDED_REQUESTS, "body_hash"))?,
    })
}

/// What waits of one channel.
#[derive(Debug)]
#[expect(missing_docs, reason = "columns of the statement")]
pub struct WaitingRow<T> {
    pub channel_id: String,
    pub requests: i64,
    pub bytes: i64,
    pub oldest_at: T,
    pub failed_at: Option<T>,
    pub last_error: Option<String>,
}

impl<T: StoredTime> TryFrom<WaitingRow<T>> for (ChannelId, WaitingRequests) {
    type Error = StoreError;

    fn try_from(row: WaitingRow<T>) -> Result<Self, StoreError> {
        const TABLE: &str = FORWARDED_REQUESTS;
        let channel = ChannelId::parse(&row.channel_id).map_err(corrupt(TABLE, "channel_id"))?;
        let at = optional_time(row.failed_at, TABLE, "failed_at")?;
        let waiting = WaitingRequests {
            requests: count(row.requests, TABLE, "channel_id")?,
            bytes: count(row.bytes, TABLE, "size")?,
            oldest_at: time(row.oldest_at, TABLE, "arrived_at")?,
            last_failure: at.map(|at| ForwardingFailure {
                at,
                error: row.last_error.unwrap_or_default(),
            }),
        };
        Ok((channel, waiting))
    }
}

/// A channel with a forward URL, and how much of its space is used.
#[derive(Debug)]
#[expect(missing_docs, reason = "columns of the statement")]
pub struct BacklogRow {
    pub channel_id: String,
    pub requests: i64,
    pub bytes: i64,
}

/// Decides which requests are stored, in their order. `backlogs` are those of all their channels
/// that have a forward URL; `waiting` are the requests among them that are stored already, as
/// channel id and hash.
pub fn admit(
    requests: &[NewForwardedRequest],
    backlogs: Vec<BacklogRow>,
    waiting: Vec<(String, Vec<u8>)>,
) -> Result<Vec<StoredRequest>, StoreError> {
    let mut channels = BTreeMap::new();
    for row in backlogs {
        let requests = count(row.requests, FORWARDED_REQUESTS, "channel_id")?;
        let bytes = count(row.bytes, FORWARDED_REQUESTS, "size")?;
        channels.insert(row.channel_id, ForwardingBacklog::new(requests, bytes));
    }
    let mut stored: HashSet<_> = waiting.into_iter().collect();
    let outcomes = requests.iter().map(|request| {
        let channel = request.key.channel.as_str();
        let Some(backlog) = channels.get_mut(channel) else {
            return StoredRequest::NotForwarding;
        };
        let key = (channel.to_owned(), request.key.body_hash.to_vec());
        if stored.contains(&key) {
            return StoredRequest::AlreadyWaiting;
        }
        if !backlog.add(request.sealed.0.len()) {
            return StoredRequest::Full;
        }
        stored.insert(key);
        StoredRequest::Stored
    });
    Ok(outcomes.collect())
}

/// Returns the requests that are to be stored.
#[must_use]
pub fn admitted<'a>(
    requests: &'a [NewForwardedRequest],
    outcomes: &[StoredRequest],
) -> Vec<&'a NewForwardedRequest> {
    let outcomes = requests.iter().zip(outcomes);
    let admitted = outcomes.filter(|(_, outcome)| **outcome == StoredRequest::Stored);
    admitted.map(|(request, _)| request).collect()
}

/// Counts removed rows by channel; each row has a channel id.
pub fn removed_by_channel(channels: Vec<String>) -> Result<Vec<(ChannelId, u64)>, StoreError> {
    let mut removed = BTreeMap::new();
    for channel in channels {
        let parsed = ChannelId::parse(&channel);
        let parsed = parsed.map_err(corrupt(FORWARDED_REQUESTS, "channel_id"))?;
        *removed.entry(parsed).or_insert(0) += 1;
    }
    Ok(removed.into_iter().collect())
}
