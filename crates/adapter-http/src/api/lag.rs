//! How far a reader of the log lags.

use serde::Serialize;
use usecases::Lag;
use utoipa::ToSchema;

/// The lag of a reader of the log.
#[derive(Debug, Serialize, ToSchema)]
pub struct LagView {
    /// Reports of the log that it has not processed.
    pub reports: u64,
    /// Events that follow from these reports for this reader.
    pub events: u64,
    /// Whether there are more than these.
    pub more: bool,
    /// When the oldest of them arrived.
    pub since: Option<String>,
    /// Age of the oldest of them in seconds; 0 if there is none.
    pub seconds: u64,
    /// Whether retention has removed some of them.
    pub pruned: bool,
}

impl LagView {
    pub(crate) fn new(lag: &Lag) -> Self {
        Self {
            reports: lag.reports,
            events: lag.events,
            more: lag.more,
            since: lag.since.map(|since| since.to_string()),
            seconds: lag.seconds,
            pruned: lag.pruned,
        }
    }
}
