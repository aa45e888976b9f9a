//! Rows of erasures, and the scan that an erasure is.

use std::num::NonZeroU32;

use domain::erasure::{ErasureReason, RequestedVia};
use domain::{Erasure, ErasureId, Recipient, Timestamp};
use ports::StoreError;
use uuid::Uuid;

use crate::error::corrupt;
use crate::values::{StoredTime, count, optional_time, time};

/// The table of erasures.
pub const ERASURES: &str = "erasures";

/// A row of `erasures`, without its cursor.
#[derive(Debug)]
#[expect(missing_docs, reason = "columns of the table")]
pub struct ErasureRow<T> {
    pub id: Uuid,
    pub requested_at: T,
    pub requested_via: String,
    pub reason: Option<String>,
    pub masked: String,
    pub examined: i64,
    pub messages: i64,
    pub reports: i64,
    pub deliveries: i64,
    pub finished_at: Option<T>,
}

impl<T: StoredTime> TryFrom<ErasureRow<T>> for Erasure {
    type Error = StoreError;

    fn try_from(row: ErasureRow<T>) -> Result<Self, StoreError> {
        let reason = row.reason.as_deref().map(ErasureReason::parse);
        let via = row.requested_via.parse::<RequestedVia>();
        Ok(Self {
            id: ErasureId(row.id),
            asked_at: time(row.requested_at, ERASURES, "requested_at")?,
            asked_through: via.map_err(corrupt(ERASURES, "requested_via"))?,
            reason: reason.transpose().map_err(corrupt(ERASURES, "reason"))?,
            masked: row.masked,
            looked_at: count(row.examined, ERASURES, "examined")?,
            messages: count(row.messages, ERASURES, "messages")?,
            reports: count(row.reports, ERASURES, "reports")?,
            deliveries: count(row.deliveries, ERASURES, "deliveries")?,
            finished_at: optional_time(row.finished_at, ERASURES, "finished_at")?,
        })
    }
}

/// An unfinished erasure: its recipient and how far it is. It scans the log first, then the
/// messages from newest to oldest.
#[derive(Debug)]
#[expect(missing_docs, reason = "columns of the table")]
pub struct ErasureScan<T> {
    /// Null when finished.
    pub recipient: Option<String>,
    /// Null when the log is done.
    pub log_after: Option<i64>,
    pub recipient_hash: Option<i64>,
    pub before_first_reported_at: Option<T>,
    pub before_channel_id: Option<String>,
    pub before_sid: Option<Vec<u8>>,
}

/// How much a step erased.
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "named as the columns")]
pub struct ErasedRows {
    pub messages: u64,
    pub reports: u64,
    pub deliveries: u64,
}

/// What a step did, to be stored.
#[derive(Debug)]
#[expect(missing_docs, reason = "named as the columns")]
pub struct ErasureStep {
    pub examined: i64,
    pub messages: i64,
    pub reports: i64,
    pub deliveries: i64,
    pub finished_at: Option<Timestamp>,
}

/// The statements of one step, all in one transaction that holds the scan's row.
pub trait ErasureStatements: Send {
    /// How the engine stores times.
    type Time: StoredTime;
    /// The messages that a page of the scan found.
    type Found: Send + Sync;
    /// Why a statement fails.
    type Error: From<StoreError>;

    /// Examines at most `budget` reports after the cursor and advances it. Returns what was found
    /// and how many were examined.
    fn scan_log(
        &mut self,
        scan: &mut ErasureScan<Self::Time>,
        recipient: &Recipient,
        budget: i64,
    ) -> impl Future<Output = Result<(Self::Found, i64), Self::Error>> + Send;

    /// Examines at most `budget` messages before the cursor and moves it, as above.
    fn scan_messages(
        &mut self,
        scan: &mut ErasureScan<Self::Time>,
        recipient: &Recipient,
        budget: i64,
    ) -> impl Future<Output = Result<(Self::Found, i64), Self::Error>> + Send;

    /// Erases messages, all their reports, and the bodies of their undelivered events.
    fn erase(
        &mut self,
        found: Self::Found,
        now: Timestamp,
    ) -> impl Future<Output = Result<ErasedRows, Self::Error>> + Send;
}

/// Executes one step of a scan whose recipient is `recipient`. Returns what to store together
/// with the scan's cursor.
pub async fn step<S: ErasureStatements>(
    statements: &mut S,
    scan: &mut ErasureScan<S::Time>,
    recipient: &str,
    budget: NonZeroU32,
    now: Timestamp,
) -> Result<ErasureStep, S::Error> {
    let recipient = Recipient::parse(recipient).map_err(corrupt(ERASURES, "recipient"))?;
    let in_log = scan.log_after.is_some();
    let budget = i64::from(budget.get());
    let (found, examined) = if in_log {
        statements.scan_log(scan, &recipient, budget).await?
    } else {
        statements.scan_messages(scan, &recipient, budget).await?
    };
    let erased = statements.erase(found, now).await?;
    let number = |rows: u64| i64::try_from(rows).unwrap_or(i64::MAX);
    Ok(ErasureStep {
        examined,
        messages: number(erased.messages),
        reports: number(erased.reports),
        deliveries: number(erased.deliveries),
        finished_at: (!in_log && examined < budget).then_some(now),
    })
}
