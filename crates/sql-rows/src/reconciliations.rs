//! Rows of reconciliation.

use domain::ChannelId;
use domain::crypto::SealedSecret;
use domain::reconciliation::{
    AccountSid, ApiKeySid, Reconciliation, ReconciliationAccount, ReconciliationFigures,
};
use ports::StoreError;

use crate::error::corrupt;
use crate::values::{StoredTime, count, optional_time, time};

/// The table of accounts and figures of reconciliation.
pub const RECONCILIATIONS: &str = "reconciliations";

/// A row of `reconciliations`.
#[derive(Debug)]
#[expect(missing_docs, reason = "columns of the table")]
pub struct ReconciliationRow<T> {
    pub channel_id: String,
    pub account_sid: String,
    pub api_key_sid: String,
    pub api_key_secret: Vec<u8>,
    pub changed_at: T,
    pub checked: i64,
    pub recovered: i64,
    pub last_run_at: Option<T>,
    pub last_error: Option<String>,
    pub failing_since: Option<T>,
    pub checked_through: Option<T>,
    pub listed_at: Option<T>,
    pub listed: i64,
    pub lost: i64,
}

impl<T: StoredTime> TryFrom<ReconciliationRow<T>> for Reconciliation {
    type Error = StoreError;

    fn try_from(row: ReconciliationRow<T>) -> Result<Self, StoreError> {
        const TABLE: &str = RECONCILIATIONS;
        Ok(Self {
            account: ReconciliationAccount {
                channel: ChannelId::parse(&row.channel_id).map_err(corrupt(TABLE, "channel_id"))?,
                account: AccountSid::parse(&row.account_sid)
                    .map_err(corrupt(TABLE, "account_sid"))?,
                api_key: ApiKeySid::parse(&row.api_key_sid)
                    .map_err(corrupt(TABLE, "api_key_sid"))?,
                secret: SealedSecret(row.api_key_secret),
                changed_at: time(row.changed_at, TABLE, "changed_at")?,
            },
            figures: ReconciliationFigures {
                checked: count(row.checked, TABLE, "checked")?,
                recovered: count(row.recovered, TABLE, "recovered")?,
                last_run_at: optional_time(row.last_run_at, TABLE, "last_run_at")?,
                last_error: row.last_error,
                failing_since: optional_time(row.failing_since, TABLE, "failing_since")?,
                checked_through: optional_time(row.checked_through, TABLE, "checked_through")?,
                listed_at: optional_time(row.listed_at, TABLE, "listed_at")?,
                listed: count(row.listed, TABLE, "listed")?,
                lost: count(row.lost, TABLE, "lost")?,
            },
        })
    }
}
