//! Deliveries as columns, the form in which one statement writes them.

use domain::{Delivery, Timestamp};
use sql_rows::attempts::attempts_to_json;
use time::OffsetDateTime;

#[derive(Debug, Default)]
pub(crate) struct DeliveryColumns<'a> {
    pub(crate) report_id: Vec<i64>,
    pub(crate) position: Vec<i64>,
    pub(crate) created_at: Vec<OffsetDateTime>,
    /// Null where it is `created_at`.
    pub(crate) retrying_since: Vec<Option<OffsetDateTime>>,
    pub(crate) next_attempt_at: Vec<Option<OffsetDateTime>>,
    pub(crate) cooldown_until: Vec<Option<OffsetDateTime>>,
    pub(crate) finished_at: Vec<Option<OffsetDateTime>>,
    pub(crate) revision: Vec<i32>,
    pub(crate) attempts: Vec<i32>,
    pub(crate) event_index: Vec<i16>,
    pub(crate) state: Vec<&'static str>,
    pub(crate) event_type: Vec<&'static str>,
    pub(crate) channel_id: Vec<&'a str>,
    pub(crate) sid: Vec<Vec<u8>>,
    pub(crate) last_attempts: Vec<String>,
    pub(crate) body: Vec<Option<&'a str>>,
}

impl<'a> DeliveryColumns<'a> {
    /// Converts deliveries; of several with the same key the last one.
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
        self.cooldown_until
            .push(delivery.cooldown_until.map(moment));
        self.finished_at.push(delivery.finished_at.map(moment));
        self.revision
            .push(i32::try_from(delivery.revision).unwrap_or(i32::MAX));
        self.attempts
            .push(i32::try_from(delivery.attempts.count()).unwrap_or(i32::MAX));
        self.event_index.push(i16::from(delivery.key.event_index));
        self.state.push(delivery.state.as_str());
        self.event_type.push(delivery.event_type.as_str());
        self.channel_id.push(delivery.message.channel.as_str());
        self.sid.push(delivery.message.sid.to_compact());
        self.last_attempts
            .push(attempts_to_json(&delivery.attempts));
        self.body.push(delivery.kept_body());
    }
}
