//! Rows of deliveries.

use domain::delivery::PendingDelivery;
use domain::page::{Page, PageSize};
use domain::{Delivery, DeliveryKey, LogPosition, SubscriptionId, Timestamp};
use ports::StoreError;
use ports::subscriptions::{MAX_RECENT, RecentAttempts};
use uuid::Uuid;

use crate::attempts::attempts_from_json;
use crate::error::corrupt;
use crate::values::{StoredTime, key, optional_time, time};

const DELIVERIES: &str = "deliveries";

/// A row of `deliveries`.
#[derive(Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "columns of the table")]
pub struct DeliveryRow<T> {
    pub subscription_id: Uuid,
    pub report_id: i64,
    pub event_index: i64,
    pub position: i64,
    pub created_at: T,
    pub retrying_since: Option<T>,
    pub next_attempt_at: Option<T>,
    pub cooldown_until: Option<T>,
    pub finished_at: Option<T>,
    pub revision: i64,
    pub attempts: i64,
    pub state: String,
    pub event_type: String,
    pub channel_id: String,
    pub sid: Vec<u8>,
    pub last_attempts: String,
    pub body: Option<String>,
}

impl<T: StoredTime> TryFrom<DeliveryRow<T>> for Delivery {
    type Error = StoreError;

    fn try_from(row: DeliveryRow<T>) -> Result<Self, StoreError> {
        let attempts = u32::try_from(row.attempts).map_err(corrupt(DELIVERIES, "attempts"))?;
        let event_type = row.event_type.parse();
        let created_at = time(row.created_at, DELIVERIES, "created_at")?;
        let retrying_since = optional_time(row.retrying_since, DELIVERIES, "retrying_since")?;
        Ok(Self {
            key: delivery_key(
                SubscriptionId(row.subscription_id),
                row.report_id,
                row.event_index,
            )?,
            position: LogPosition(row.position),
            event_type: event_type.map_err(corrupt(DELIVERIES, "event_type"))?,
            message: key(&row.channel_id, &row.sid, DELIVERIES)?,
            revision: row.revision,
            state: row.state.parse().map_err(corrupt(DELIVERIES, "state"))?,
            attempts: attempts_from_json(attempts, &row.last_attempts)
                .map_err(corrupt(DELIVERIES, "last_attempts"))?,
            created_at,
            retrying_since: retrying_since.unwrap_or(created_at),
            next_attempt_at: optional_time(row.next_attempt_at, DELIVERIES, "next_attempt_at")?,
            cooldown_until: optional_time(row.cooldown_until, DELIVERIES, "cooldown_until")?,
            finished_at: optional_time(row.finished_at, DELIVERIES, "finished_at")?,
            body: row.body,
        })
    }
}

/// The report id and the event index of a delivery.
pub type DeliveryPlace = (i64, i64);

/// Returns a page of deliveries of one subscription. `rows` has one more than the page, if there are
/// as many; `scan_end` is the last delivery examined, if the limit ended the scan before the page
/// was full.
pub fn page_of_deliveries<T: StoredTime>(
    subscription: SubscriptionId,
    rows: Vec<DeliveryRow<T>>,
    scan_end: Option<DeliveryPlace>,
    size: PageSize,
) -> Result<Page<Delivery, DeliveryKey>, StoreError> {
    let deliveries = rows.into_iter().map(Delivery::try_from);
    let deliveries = deliveries.collect::<Result<_, _>>()?;
    let scan_end =
        scan_end.map(|(report_id, event_index)| delivery_key(subscription, report_id, event_index));
    let page = Page::cut(deliveries, size, |delivery: &Delivery| delivery.key);
    Ok(page.or_after(scan_end.transpose()?))
}

/// The columns of a pending delivery that choose which is sent next.
#[derive(Debug)]
#[expect(missing_docs, reason = "columns of the table")]
pub struct PendingRow<T> {
    pub report_id: i64,
    pub event_index: i64,
    pub position: i64,
    pub next_attempt_at: Option<T>,
    pub cooldown_until: Option<T>,
    pub revision: i64,
    pub channel_id: String,
    pub sid: Vec<u8>,
}

/// Converts rows of one subscription.
pub fn pending_deliveries<T: StoredTime>(
    rows: Vec<PendingRow<T>>,
    subscription: SubscriptionId,
) -> Result<Vec<PendingDelivery>, StoreError> {
    let pending = rows.into_iter().map(|row| {
        Ok(PendingDelivery {
            key: delivery_key(subscription, row.report_id, row.event_index)?,
            position: LogPosition(row.position),
            message: key(&row.channel_id, &row.sid, DELIVERIES)?,
            revision: row.revision,
            next_attempt_at: optional_time(row.next_attempt_at, DELIVERIES, "next_attempt_at")?,
            cooldown_until: optional_time(row.cooldown_until, DELIVERIES, "cooldown_until")?,
        })
    });
    pending.collect()
}

fn delivery_key(
    subscription: SubscriptionId,
    report_id: i64,
    event_index: i64,
) -> Result<DeliveryKey, StoreError> {
    Ok(DeliveryKey {
        subscription,
        report_id,
        event_index: u8::try_from(event_index).map_err(corrupt(DELIVERIES, "event_index"))?,
    })
}

/// A delivery that ended, and its attempts if it is of the subscription asked about.
#[derive(Debug)]
#[expect(missing_docs, reason = "columns of the table")]
pub struct EndedRow<T> {
    pub finished_at: T,
    pub last_attempts: Option<String>,
}

/// Counts the attempts since a time, of deliveries that ended (the latest [`MAX_RECENT`] of all
/// subscriptions and one more, latest first) and of pending ones.
pub fn count_recent<T: StoredTime>(
    since: Timestamp,
    ended: Vec<EndedRow<T>>,
    pending: Vec<String>,
) -> Result<RecentAttempts, StoreError> {
    let mut recent = RecentAttempts::none(since);
    // An attempt that started after the first delivery beyond the limit ended, has ended after
    // it: the count is complete from then on.
    if let Some(first) = ended.get(MAX_RECENT) {
        let first = time(first.finished_at, DELIVERIES, "finished_at")?;
        recent.since = first.plus_micros(1);
    }
    let ended = ended.into_iter().filter_map(|row| row.last_attempts);
    for last in ended.chain(pending) {
        let attempts =
            attempts_from_json(0, &last).map_err(corrupt(DELIVERIES, "last_attempts"))?;
        recent.count(&attempts);
    }
    Ok(recent)
}
