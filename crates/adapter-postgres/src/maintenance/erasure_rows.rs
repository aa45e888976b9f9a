//! Erasures as they stand in their table.

use domain::erasure::{ErasureReason, RequestedVia};
use domain::{Erasure, ErasureId};
use ports::StoreError;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::corrupt;
use crate::rows::{optional_time, time};

pub(crate) const ERASURES: &str = "erasures";

#[derive(Debug)]
pub(crate) struct ErasureRow {
    pub(crate) id: Uuid,
    pub(crate) asked_at: OffsetDateTime,
    pub(crate) asked_through: String,
    pub(crate) reason: Option<String>,
    pub(crate) masked: String,
    pub(crate) looked_at: i64,
    pub(crate) messages: i64,
    pub(crate) reports: i64,
    pub(crate) deliveries: i64,
    pub(crate) finished_at: Option<OffsetDateTime>,
}

impl TryFrom<ErasureRow> for Erasure {
    type Error = StoreError;

    fn try_from(row: ErasureRow) -> Result<Self, StoreError> {
        let reason = row.reason.as_deref().map(ErasureReason::parse);
        Ok(Self {
            id: ErasureId(row.id),
            asked_at: time(row.asked_at, ERASURES, "asked_at")?,
            asked_through: row
                .asked_through
                .parse::<RequestedVia>()
                .map_err(corrupt(ERASURES, "asked_through"))?,
            reason: reason.transpose().map_err(corrupt(ERASURES, "reason"))?,
            masked: row.masked,
            looked_at: count(row.looked_at, "looked_at")?,
            messages: count(row.messages, "messages")?,
            reports: count(row.reports, "reports")?,
            deliveries: count(row.deliveries, "deliveries")?,
            finished_at: optional_time(row.finished_at, ERASURES, "finished_at")?,
        })
    }
}

fn count(number: i64, column: &'static str) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(corrupt(ERASURES, column))
}
