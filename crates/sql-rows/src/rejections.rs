//! Rows of refused reports.

use domain::crypto::SealedSecret;
use domain::rejection::MaskedFields;
use domain::{ChannelId, IntegratorName, Rejection};
use ports::StoreError;
use ports::rejections::StoredRejection;

use crate::error::corrupt;
use crate::values::{StoredTime, time};

const REJECTIONS: &str = "rejections";

/// A row of `rejections`.
#[derive(Debug, sqlx::FromRow)]
#[expect(missing_docs, reason = "columns of the table")]
pub struct RejectionRow<T> {
    pub id: i64,
    pub arrived_at: T,
    pub channel_id: String,
    pub integrator: String,
    pub reason: String,
    pub detail: String,
    pub fields: String,
    pub sender: Option<Vec<u8>>,
}

/// Returns the value of the column `fields`: an array of names and masked values.
pub fn fields_json(rejection: &Rejection) -> Result<String, StoreError> {
    let fields: Vec<(&str, &str)> = rejection.fields.iter().collect();
    serde_json::to_string(&fields).map_err(|error| StoreError::Rejected {
        what: "fields",
        source: error.into(),
    })
}

impl<T: StoredTime> TryFrom<RejectionRow<T>> for StoredRejection {
    type Error = StoreError;

    fn try_from(row: RejectionRow<T>) -> Result<Self, StoreError> {
        let fields: Vec<(String, String)> =
            serde_json::from_str(&row.fields).map_err(corrupt(REJECTIONS, "fields"))?;
        Ok(Self {
            id: row.id,
            rejection: Rejection {
                arrived_at: time(row.arrived_at, REJECTIONS, "arrived_at")?,
                channel: ChannelId::parse(&row.channel_id)
                    .map_err(corrupt(REJECTIONS, "channel_id"))?,
                integrator: IntegratorName::parse(&row.integrator)
                    .map_err(corrupt(REJECTIONS, "integrator"))?,
                reason: row.reason.parse().map_err(corrupt(REJECTIONS, "reason"))?,
                detail: row.detail,
                fields: MaskedFields::new(fields),
                sender: row.sender.map(SealedSecret),
            },
        })
    }
}
