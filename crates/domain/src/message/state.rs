//! The state of a message, computed as a join over its reports.

use crate::report::ReportError;
use crate::{DeliveryStatus, ErrorText, Report, Timestamp};

/// The time of the first report of every status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeline([Option<Timestamp>; 11]);

impl Timeline {
    /// Creates a timeline from stored times by rank.
    #[must_use]
    pub const fn from_times(times: [Option<Timestamp>; 11]) -> Self {
        Self(times)
    }

    /// Returns the times by rank.
    #[must_use]
    pub const fn times(&self) -> &[Option<Timestamp>; 11] {
        &self.0
    }

    /// Returns when `status` was first reported.
    #[must_use]
    pub fn first(&self, status: DeliveryStatus) -> Option<Timestamp> {
        self.0.get(usize::from(status.rank())).copied().flatten()
    }

    /// Returns the reported statuses, from the lowest to the highest.
    #[must_use]
    pub fn steps(&self) -> impl DoubleEndedIterator<Item = (DeliveryStatus, Timestamp)> {
        DeliveryStatus::ALL
            .into_iter()
            .zip(self.0)
            .filter_map(|(status, at)| Some((status, at?)))
    }

    fn note(&mut self, status: DeliveryStatus, at: Timestamp) {
        if let Some(first) = self.0.get_mut(usize::from(status.rank())) {
            *first = Some(first.map_or(at, |first| first.min(at)));
        }
    }
}

/// The error of a message: that of its first failure report with a code.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageError {
    /// When the failure was reported.
    pub reported_at: Timestamp,
    /// The integrator's code and text.
    pub error: ReportError,
}

/// The state of a message. It depends only on the set of its reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageState {
    timeline: Timeline,
    error: Option<MessageError>,
}

impl MessageState {
    /// Creates a state from stored parts.
    #[must_use]
    pub const fn from_parts(timeline: Timeline, error: Option<MessageError>) -> Self {
        Self { timeline, error }
    }

    /// Returns the state after a single report.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        let mut state = Self::default();
        state.absorb(report);
        state
    }

    /// Applies one more report; the same as joining with [`MessageState::of`] it.
    pub fn absorb(&mut self, report: &Report) {
        let Some(status) = report.status.delivery() else {
            return;
        };
        self.timeline.note(status, report.arrived_at);
        if let Some(error) = report.error.as_ref().filter(|_| status.is_failure()) {
            self.note_error(MessageError {
                reported_at: report.arrived_at,
                error: error.clone(),
            });
        }
    }

    /// Joins two histories of one message. Commutative, associative and
    /// idempotent, so order, duplicates and grouping of reports do not matter.
    #[must_use]
    pub fn join(mut self, other: Self) -> Self {
        for (status, at) in other.timeline.steps() {
            self.timeline.note(status, at);
        }
        if let Some(error) = other.error {
            self.note_error(error);
        }
        self
    }

    /// Returns the part that was first reported before `moment`.
    #[must_use]
    pub fn before(mut self, moment: Timestamp) -> Self {
        for first in &mut self.timeline.0 {
            *first = first.filter(|first| *first < moment);
        }
        self.error = self.error.filter(|error| error.reported_at < moment);
        self
    }

    /// Erases the text of the error; its code stays.
    pub fn erase_words(&mut self) {
        if let Some(error) = &mut self.error {
            error.error.text = ErrorText::new("");
        }
    }

    /// Returns the highest reported status; `None` if no report had a status that changes the
    /// state.
    #[must_use]
    pub fn status(&self) -> Option<DeliveryStatus> {
        self.timeline.steps().next_back().map(|(status, _)| status)
    }

    /// Returns whether the message was reported both as arrived and as failed.
    #[must_use]
    pub fn contradicted(&self) -> bool {
        let any =
            |is: fn(DeliveryStatus) -> bool| self.timeline.steps().any(|(status, _)| is(status));
        any(DeliveryStatus::is_arrival) && any(DeliveryStatus::is_failure)
    }

    /// Returns when each status was first reported.
    #[must_use]
    pub const fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Returns the error of the first failure report with a code.
    #[must_use]
    pub const fn error(&self) -> Option<&MessageError> {
        self.error.as_ref()
    }

    /// Of two errors reported in the same microsecond the lower code wins, so that their order does
    /// not matter.
    fn note_error(&mut self, error: MessageError) {
        if self.error.as_ref().is_none_or(|first| error < *first) {
            self.error = Some(error);
        }
    }
}
