//! The state of a message, a join over its reports.

use crate::report::ReportError;
use crate::{DeliveryStatus, ErrorText, Report, Timestamp};

/// The time of the first report of every status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeline([Option<Timestamp>; 11]);

impl Timeline {
    /// A timeline by rank, as a store has kept it.
    #[must_use]
    pub const fn from_times(times: [Option<Timestamp>; 11]) -> Self {
        Self(times)
    }

    /// The times by rank.
    #[must_use]
    pub const fn times(&self) -> &[Option<Timestamp>; 11] {
        &self.0
    }

    /// When `status` was first reported.
    #[must_use]
    pub fn first(&self, status: DeliveryStatus) -> Option<Timestamp> {
        self.0.get(usize::from(status.rank())).copied().flatten()
    }

    /// The statuses that were reported, from the lowest to the highest.
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
    /// Code and words of the integrator.
    pub error: ReportError,
}

/// Where a message stands. It depends on the set of its reports only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageState {
    timeline: Timeline,
    error: Option<MessageError>,
}

impl MessageState {
    /// A state as a store has kept it.
    #[must_use]
    pub const fn from_parts(timeline: Timeline, error: Option<MessageError>) -> Self {
        Self { timeline, error }
    }

    /// What one report alone says.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        let mut state = Self::default();
        state.absorb(report);
        state
    }

    /// Takes in one more report: the same as joining with [`MessageState::of`] it.
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

    /// What of it was first reported before a moment.
    #[must_use]
    pub fn before(mut self, moment: Timestamp) -> Self {
        for first in &mut self.timeline.0 {
            *first = first.filter(|first| *first < moment);
        }
        self.error = self.error.filter(|error| error.reported_at < moment);
        self
    }

    /// Forgets the integrator's words about the error; its code stays.
    pub fn erase_words(&mut self) {
        if let Some(error) = &mut self.error {
            error.error.text = ErrorText::new("");
        }
    }

    /// The highest status reported; `None` while only words were reported that
    /// move nothing.
    #[must_use]
    pub fn status(&self) -> Option<DeliveryStatus> {
        self.timeline.steps().next_back().map(|(status, _)| status)
    }

    /// Whether the message both arrived and failed, by what was reported.
    #[must_use]
    pub fn contradicted(&self) -> bool {
        let any =
            |is: fn(DeliveryStatus) -> bool| self.timeline.steps().any(|(status, _)| is(status));
        any(DeliveryStatus::is_arrival) && any(DeliveryStatus::is_failure)
    }

    /// When each status was first reported.
    #[must_use]
    pub const fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// The error of the first failure report that carried a code.
    #[must_use]
    pub const fn error(&self) -> Option<&MessageError> {
        self.error.as_ref()
    }

    /// Of two errors reported at the same microsecond the lower code stays, so
    /// that their order does not matter either.
    fn note_error(&mut self, error: MessageError) {
        if self.error.as_ref().is_none_or(|first| error < *first) {
            self.error = Some(error);
        }
    }
}
