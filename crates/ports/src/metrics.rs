//! What use cases report to the metrics.

use std::time::Duration;

use domain::{Effect, IntegratorName, RejectionReason, ReportedStatus};

/// Counts what use cases do. Called on the report path: methods cannot fail and must not block.
pub trait Metrics: Send + Sync {
    /// A report is durable and had this effect.
    fn recorded(&self, integrator: &IntegratorName, status: &ReportedStatus, effect: Effect);

    /// Messages were compared with the integrator's records, and reports that had not arrived were
    /// recovered.
    fn reconciled(&self, _checked: u64, _recovered: u64) {}

    /// A run of reconciliation failed.
    fn reconciliation_failed(&self) {}

    /// A batch of reports was committed.
    fn committed(&self, reports: usize, took: Duration);

    /// The store failed to commit a batch of reports.
    fn commit_failed(&self, reports: usize);

    /// Reports were appended to the journal instead of the store.
    fn journaled(&self, reports: usize) {
        let _ = reports;
    }

    /// Reports were moved from the journal into the store.
    fn drained(&self, reports: usize) {
        let _ = reports;
    }

    /// A report of an authenticated caller was refused.
    fn rejected(&self, reason: RejectionReason);

    /// An element of a request was not a report but of this kind.
    fn ignored(&self, integrator: &IntegratorName, kind: &'static str) {
        let _ = (integrator, kind);
    }

    /// The integrator said that it could not deliver so many reports.
    fn callbacks_failed(&self, integrator: &IntegratorName, messages: usize) {
        let _ = (integrator, messages);
    }

    /// An attempt to deliver an event ended after this time.
    fn pushed(&self, outcome: AttemptOutcome, took: Duration) {
        let _ = (outcome, took);
    }

    /// Event delivery was throttled for so long in favour of ingest.
    fn delivery_throttled(&self, during: Duration) {
        let _ = during;
    }

    /// A worker has stopped serving a subscription, which an operator has to look at. Called once,
    /// by that worker.
    fn subscription_stopped(&self, reason: StopReason) {
        let _ = reason;
    }

    /// Requests that are not reports had this outcome.
    fn forwarding(&self, outcome: ForwardOutcome, requests: u64) {
        let _ = (outcome, requests);
    }

    /// The channel directory holds this many channels.
    fn channels_known(&self, channels: usize);
}

/// How an attempt to deliver an event ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum AttemptOutcome {
    /// It succeeded.
    Delivered,
    /// It will be retried.
    Failed,
    /// It is not retried: a dead letter.
    GivenUp,
}

impl AttemptOutcome {
    /// All variants.
    pub const ALL: [Self; 3] = [Self::Delivered, Self::Failed, Self::GivenUp];

    /// Returns the name used in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What happened to a request that is forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ForwardOutcome {
    /// It arrived and was stored.
    Stored,
    /// It arrived and was not stored, and was answered 503: too much waits, or the store failed.
    Refused,
    /// An attempt succeeded.
    Forwarded,
    /// An attempt failed.
    Failed,
    /// It was removed after three days.
    Dropped,
    /// It was removed, because the target refused it again and again.
    GivenUp,
}

impl ForwardOutcome {
    /// All variants.
    pub const ALL: [Self; 6] = [
        Self::Stored,
        Self::Refused,
        Self::Forwarded,
        Self::Failed,
        Self::Dropped,
        Self::GivenUp,
    ];

    /// Returns the name used in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Why a subscription is no longer served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum StopReason {
    /// Its endpoint was failing for too long: it is paused.
    Failing,
    /// Retention removed events that it has not received: it is paused.
    Pruned,
    /// Its endpoint answered 410: it has ended.
    Gone,
    /// This process's server secret does not open its signing secret. It stays active, since
    /// another worker may have the right one.
    UnreadableSecret,
}

impl StopReason {
    /// All variants.
    pub const ALL: [Self; 4] = [
        Self::Failing,
        Self::Pruned,
        Self::Gone,
        Self::UnreadableSecret,
    ];

    /// Returns the name used in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Counts nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoMetrics;

impl Metrics for NoMetrics {
    fn recorded(&self, _: &IntegratorName, _: &ReportedStatus, _: Effect) {}
    fn committed(&self, _: usize, _: Duration) {}
    fn commit_failed(&self, _: usize) {}
    fn rejected(&self, _: RejectionReason) {}
    fn channels_known(&self, _: usize) {}
}
