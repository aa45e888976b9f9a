//! Deliveries as they stand in their table.

use domain::delivery::Attempts;
use domain::{Delivery, DeliveryKey, LogPosition, MessageKey, SubscriptionId};
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
    pub(crate) next_attempt_at: Option<OffsetDateTime>,
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
            created_at: time(row.created_at, DELIVERIES, "created_at")?,
            next_attempt_at: optional_time(row.next_attempt_at, DELIVERIES, "next_attempt_at")?,
            finished_at: optional_time(row.finished_at, DELIVERIES, "finished_at")?,
            body: row.body,
        })
    }
}

/// Deliveries as columns, the form in which one statement takes them.
#[derive(Debug, Default)]
pub(crate) struct Columns<'a> {
    pub(crate) report_id: Vec<i64>,
    pub(crate) position: Vec<i64>,
    pub(crate) created_at: Vec<OffsetDateTime>,
    pub(crate) next_attempt_at: Vec<Option<OffsetDateTime>>,
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
        let moment = |time: domain::Timestamp| time.to_date_time();
        self.report_id.push(delivery.key.report_id);
        self.position.push(delivery.position.0);
        self.created_at.push(moment(delivery.created_at));
        self.next_attempt_at
            .push(delivery.next_attempt_at.map(moment));
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
