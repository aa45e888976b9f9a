//! Where the core tells what it does, for metrics. Nothing here can fail or
//! wait.

use std::time::Duration;

use domain::{Effect, IntegratorName, RejectionReason, ReportedStatus};

/// Hears what happens. Called on the hot path: it must return at once.
pub trait Metrics: Send + Sync {
    /// A report is durable, and this is what it did.
    fn recorded(&self, integrator: &IntegratorName, status: &ReportedStatus, effect: Effect);

    /// A batch of this many reports was committed.
    fn committed(&self, reports: usize, took: Duration);

    /// The store did not take a batch of this many reports.
    fn commit_failed(&self, reports: usize);

    /// This many reports went to the journal instead of the store.
    fn journaled(&self, reports: usize) {
        let _ = reports;
    }

    /// This many reports went from the journal into the store.
    fn drained(&self, reports: usize) {
        let _ = reports;
    }

    /// A proven report was refused.
    fn rejected(&self, reason: RejectionReason);

    /// A try to push an event ended so, after this time.
    fn pushed(&self, outcome: AttemptOutcome, took: Duration) {
        let _ = (outcome, took);
    }

    /// Events were pushed slowly for so long, because there were many reports.
    fn pushing_slowed(&self, during: Duration) {
        let _ = during;
    }

    /// A worker has stopped serving a subscription, and somebody has to look at
    /// it. Told once, by the worker that has done it.
    fn subscription_stopped(&self, reason: StopReason) {
        let _ = reason;
    }

    /// This many channels are known.
    fn channels_known(&self, channels: usize);
}

/// What came of a try to push an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttemptOutcome {
    /// The subscriber has taken it.
    Delivered,
    /// It is tried again.
    Failed,
    /// It is not tried again: a dead letter.
    GivenUp,
}

impl AttemptOutcome {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Delivered, Self::Failed, Self::GivenUp];

    /// The word for people and programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::GivenUp => "given_up",
        }
    }
}

/// Why a subscription is served no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StopReason {
    /// Its target took nothing for too long: it is paused.
    Failing,
    /// Events it has not seen are gone: it is paused.
    Pruned,
    /// Its target answered 410: it has ended.
    Gone,
    /// Its signing secret does not open with this process's server secret. It
    /// stays active, since another worker may have the right one.
    UnreadableSecret,
}

impl StopReason {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Failing,
        Self::Pruned,
        Self::Gone,
        Self::UnreadableSecret,
    ];

    /// The word for people and programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Pruned => "pruned",
            Self::Gone => "gone",
            Self::UnreadableSecret => "unreadable_secret",
        }
    }
}

/// Hears and does nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoMetrics;

impl Metrics for NoMetrics {
    fn recorded(&self, _: &IntegratorName, _: &ReportedStatus, _: Effect) {}
    fn committed(&self, _: usize, _: Duration) {}
    fn commit_failed(&self, _: usize) {}
    fn rejected(&self, _: RejectionReason) {}
    fn channels_known(&self, _: usize) {}
}
