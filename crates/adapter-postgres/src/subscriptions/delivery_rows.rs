//! Deliveries as they stand in their table.

use domain::delivery::{Attempts, PendingDelivery};
use domain::{Delivery, DeliveryKey, LogPosition, MessageKey, SubscriptionId, Timestamp};
use ports::StoreError;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::corrupt;
use crate::rows::{key, optional_time, time};

const DELIVERIES: &str = "deliveries";

#[derive(Debug, sqlx::FromRow)]
pub(crate) struct DeliveryRow {
    pub(crate) subscription_id: Uuid,
    pub(crate) report_id: i64,
    pub(crate) position: i64,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) retrying_since: Option<OffsetDateTime>,
    pub(crate) next_attempt_at: Option<OffsetDateTime>,
    pub(crate) rests_until: Option<OffsetDateTime>,
    pub(crate) finished_at: Option<OffsetDateTime>,
    pub(crate) revision: i32,
    pub(crate) attempts: i32,
    pub(crate) part: i16,
    pub(crate) state: String,
    pub(crate) event_type: String,
    pub(crate) channel_id: String,
    pub(crate) sid: Vec<u8>,
    pub(crate) last_attempts: String,
    pub(crate) body: Option<String>,
}

impl TryFrom<DeliveryRow> for Delivery {
    type Error = StoreError;

    fn try_from(row: DeliveryRow) -> Result<Self, StoreError> {
        let attempts = u32::try_from(row.attempts).map_err(corrupt(DELIVERIES, "attempts"))?;
        let message: MessageKey = key(&row.channel_id, &row.sid, DELIVERIES)?;
        let created_at = time(row.created_at, DELIVERIES, "created_at")?;
        let retrying_since = optional_time(row.retrying_since, DELIVERIES, "retrying_since")?;
        Ok(Self {
            key: DeliveryKey {
                subscription: SubscriptionId(row.subscription_id),
                report_id: row.report_id,
                part: u8::try_from(row.part).map_err(corrupt(DELIVERIES, "part"))?,
            },
            position: LogPosition(row.position),
            event_type: row
                .event_type
                .parse()
                .map_err(corrupt(DELIVERIES, "event_type"))?,
            message,
            revision: i64::from(row.revision),
            state: row.state.parse().map_err(corrupt(DELIVERIES, "state"))?,
            attempts: Attempts::from_parts(attempts, &row.last_attempts)
                .map_err(corrupt(DELIVERIES, "last_attempts"))?,
            created_at,
            retrying_since: retrying_since.unwrap_or(created_at),
            next_attempt_at: optional_time(row.next_attempt_at, DELIVERIES, "next_attempt_at")?,
            rests_until: optional_time(row.rests_until, DELIVERIES, "rests_until")?,
            finished_at: optional_time(row.finished_at, DELIVERIES, "finished_at")?,
            body: row.body,
        })
    }
}

/// What is read of an open delivery to choose the next one.
#[derive(Debug)]
pub(crate) struct OpenRow {
    pub(crate) report_id: i64,
    pub(crate) position: i64,
    pub(crate) next_attempt_at: Option<OffsetDateTime>,
    pub(crate) rests_until: Option<OffsetDateTime>,
    pub(crate) revision: i32,
    pub(crate) part: i16,
    pub(crate) channel_id: String,
    pub(crate) sid: Vec<u8>,
}

impl OpenRow {
    pub(crate) fn delivery(
        self,
        subscription: SubscriptionId,
    ) -> Result<PendingDelivery, StoreError> {
        Ok(PendingDelivery {
            key: DeliveryKey {
                subscription,
                report_id: self.report_id,
                part: u8::try_from(self.part).map_err(corrupt(DELIVERIES, "part"))?,
            },
            position: LogPosition(self.position),
            message: key(&self.channel_id, &self.sid, DELIVERIES)?,
            revision: i64::from(self.revision),
            next_attempt_at: optional_time(self.next_attempt_at, DELIVERIES, "next_attempt_at")?,
            rests_until: optional_time(self.rests_until, DELIVERIES, "rests_until")?,
        })
    }
}

/// Deliveries as columns, the form in which one statement takes them.
#[derive(Debug, Default)]
pub(crate) struct Columns<'a> {
    pub(crate) report_id: Vec<i64>,
    pub(crate) position: Vec<i64>,
    pub(crate) created_at: Vec<OffsetDateTime>,
    /// Where it is not `created_at`.
    pub(crate) retrying_since: Vec<Option<OffsetDateTime>>,
    pub(crate) next_attempt_at: Vec<Option<OffsetDateTime>>,
    pub(crate) rests_until: Vec<Option<OffsetDateTime>>,
    pub(crate) finished_at: Vec<Option<OffsetDateTime>>,
    pub(crate) revision: Vec<i32>,
    pub(crate) attempts: Vec<i32>,
    pub(crate) part: Vec<i16>,
    pub(crate) state: Vec<&'static str>,
    pub(crate) event_type: Vec<&'static str>,
    pub(crate) channel_id: Vec<&'a str>,
    pub(crate) sid: Vec<Vec<u8>>,
    pub(crate) last_attempts: Vec<String>,
    pub(crate) body: Vec<Option<&'a str>>,
}

impl<'a> Columns<'a> {
    /// Each delivery once, by key.
    pub(crate) fn of(deliveries: &'a [Delivery]) -> Self {
        let mut columns = Self::default();
        for delivery in domain::delivery::by_key(deliveries).into_values() {
            columns.push(delivery);
        }
        columns
    }

    fn push(&mut self, delivery: &'a Delivery) {
        let moment = |time: Timestamp| time.to_date_time();
        let again = Some(delivery.retrying_since).filter(|since| *since != delivery.created_at);
        self.report_id.push(delivery.key.report_id);
        self.position.push(delivery.position.0);
        self.created_at.push(moment(delivery.created_at));
        self.retrying_since.push(again.map(moment));
        self.next_attempt_at
            .push(delivery.next_attempt_at.map(moment));
        self.rests_until.push(delivery.rests_until.map(moment));
        self.finished_at.push(delivery.finished_at.map(moment));
        self.revision
            .push(i32::try_from(delivery.revision).unwrap_or(i32::MAX));
        self.attempts
            .push(i32::try_from(delivery.attempts.count()).unwrap_or(i32::MAX));
        self.part.push(i16::from(delivery.key.part));
        self.state.push(delivery.state.as_str());
        self.event_type.push(delivery.event_type.as_str());
        self.channel_id.push(delivery.message.channel.as_str());
        self.sid.push(delivery.message.sid.to_compact());
        self.last_attempts.push(delivery.attempts.last_to_json());
        self.body.push(delivery.kept_body());
    }
}
