//! Runs of retention, and its scans over messages.

use std::num::NonZeroU32;

use domain::{RetentionDays, Timestamp};
use ports::StoreError;
use ports::maintenance::{Pruning, RetentionRun};

use crate::values::{StoredTime, time};

/// A row of `retention_runs`.
#[derive(Debug)]
#[expect(missing_docs, reason = "columns of the table")]
pub struct RetentionRunRow<T> {
    pub ran_at: T,
    pub held_back: bool,
}

impl<T: StoredTime> TryFrom<RetentionRunRow<T>> for RetentionRun {
    type Error = StoreError;

    fn try_from(row: RetentionRunRow<T>) -> Result<Self, StoreError> {
        Ok(Self {
            at: time(row.ran_at, "retention_runs", "ran_at")?,
            held_back: row.held_back,
        })
    }
}

/// Returns the outcome of a step that removed `rows` rows, at most `budget`: fewer means that it
/// was the last one.
#[must_use]
pub fn pruning(rows: u64, budget: NonZeroU32) -> Pruning {
    Pruning {
        rows,
        days: 0,
        done: rows < u64::from(budget.get()),
    }
}

/// The parameters of a step of a message scan.
#[derive(Clone, Copy, Debug)]
pub struct ScanStep {
    /// The time of the step.
    pub now: Timestamp,
    /// The service's retention.
    pub keep: RetentionDays,
    /// How many messages to examine at most.
    pub budget: NonZeroU32,
}

/// Which messages a scan covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScanScope {
    /// All, in the order of their first reports. A channel with a longer retention keeps its
    /// messages.
    AllChannels,
    /// Those of a channel whose retention is shorter than the service's, by message id.
    Channel(String),
}

/// The last message that a scan examined. In the scope of a channel only `sid` is used.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "named as the columns")]
pub struct ScanCursor<T> {
    pub first_reported_at: Option<T>,
    pub channel_id: Option<String>,
    pub sid: Option<Vec<u8>>,
}

impl<T> Default for ScanCursor<T> {
    fn default() -> Self {
        Self {
            first_reported_at: None,
            channel_id: None,
            sid: None,
        }
    }
}

/// A scan over messages that resumes where the last step stopped. One per scope and retention.
#[derive(Debug)]
pub struct MessageScan<T> {
    /// Which messages it covers.
    pub scope: ScanScope,
    /// The retention it applies.
    pub keep_days: i64,
    /// When it started. The next one starts a day later.
    pub started_at: T,
    /// Where it stopped.
    pub cursor: ScanCursor<T>,
}

/// What a step examined.
#[derive(Debug)]
pub struct ScannedPage<T> {
    /// The last message; unchanged if none was left.
    pub cursor: ScanCursor<T>,
    /// How many messages were examined.
    pub examined: i64,
    /// How many of them were removed.
    pub removed: u64,
}

impl<T: Clone> ScannedPage<T> {
    /// Returns the page of a scan that has no message left.
    #[must_use]
    pub fn empty(scan: &MessageScan<T>) -> Self {
        Self {
            cursor: scan.cursor.clone(),
            examined: 0,
            removed: 0,
        }
    }
}

/// The statements of one step, all in one transaction.
pub trait ScanStatements: Send {
    /// How the engine stores times.
    type Time: StoredTime;

    /// Returns the scan over all channels, or else one over a channel, that is unfinished or due,
    /// and locks it; `None` if there is none that no other process works on.
    fn claim(
        &mut self,
        step: ScanStep,
    ) -> impl Future<Output = Result<Option<MessageScan<Self::Time>>, sqlx::Error>> + Send;

    /// Examines the messages after the cursor and removes those that are older than the
    /// retention and have no report in the log any more.
    fn prune(
        &mut self,
        step: ScanStep,
        scan: &MessageScan<Self::Time>,
    ) -> impl Future<Output = Result<ScannedPage<Self::Time>, sqlx::Error>> + Send;

    /// Stores the cursor of a scan, and whether the scan is finished.
    fn save(
        &mut self,
        step: ScanStep,
        scan: MessageScan<Self::Time>,
        finished: bool,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
}

/// Executes the next step of a scan. The outcome is done if no scan was left to work on.
pub async fn step(
    statements: &mut impl ScanStatements,
    step: ScanStep,
) -> Result<Pruning, sqlx::Error> {
    let Some(mut scan) = statements.claim(step).await? else {
        return Ok(Pruning {
            rows: 0,
            days: 0,
            done: true,
        });
    };
    let page = statements.prune(step, &scan).await?;
    scan.cursor = page.cursor;
    let finished = page.examined < i64::from(step.budget.get());
    statements.save(step, scan, finished).await?;
    Ok(Pruning {
        rows: page.removed,
        days: 0,
        done: false,
    })
}
