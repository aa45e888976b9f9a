//! What was answered to every report that was sent.

use std::collections::HashSet;
use std::time::Duration;

use crate::report::Report;

/// What was answered to the reports of some loads.
#[derive(Debug, Default)]
pub struct Ledger {
    /// One for each request, in no order.
    pub entries: Vec<Entry>,
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The stream of its report.
    pub stream: u64,
    /// The number of its report in that stream.
    pub number: u64,
    /// When it was sent, from the beginning of the load.
    pub sent: Duration,
    /// How long its answer took, or how long it was waited for in vain.
    pub took: Duration,
    /// The status it was answered with.
    pub status: Option<u16>,
}

impl Entry {
    fn report(&self) -> Report {
        Report::nth(self.stream, self.number)
    }
}

impl Ledger {
    /// Adds what was answered to another load.
    pub fn add(&mut self, other: Self) {
        self.entries.extend(other.entries);
    }

    /// The reports that were answered 204, each of them once.
    pub fn acknowledged(&self) -> HashSet<Report> {
        self.answered(204).map(Entry::report).collect()
    }

    /// All reports that were sent.
    pub fn sent(&self) -> HashSet<Report> {
        self.entries.iter().map(Entry::report).collect()
    }

    /// Requests that were answered with this status.
    pub fn answered(&self, status: u16) -> impl Iterator<Item = &Entry> {
        let answered = move |entry: &&Entry| entry.status == Some(status);
        self.entries.iter().filter(answered)
    }

    /// The reports that were sent and never answered at all.
    pub fn left_unanswered(&self) -> HashSet<Report> {
        let (answered, not): (Vec<_>, Vec<_>) = self
            .entries
            .iter()
            .partition(|entry| entry.status.is_some());
        let answered: HashSet<_> = answered.into_iter().map(Entry::report).collect();
        let not = not.into_iter().map(Entry::report);
        not.filter(|report| !answered.contains(report)).collect()
    }

    /// How many requests were answered with anything but 204.
    pub fn refused(&self) -> usize {
        let refused = |entry: &&Entry| entry.status.is_some_and(|status| status != 204);
        self.entries.iter().filter(refused).count()
    }

    /// How many requests were not answered.
    pub fn unanswered(&self) -> usize {
        let unanswered = |entry: &&Entry| entry.status.is_none();
        self.entries.iter().filter(unanswered).count()
    }

    /// The longest that any answer took, or was waited for.
    pub fn slowest(&self) -> Duration {
        let took = self.entries.iter().map(|entry| entry.took);
        took.max().unwrap_or_default()
    }

    /// The median time of the answers to what was sent in a part of the load.
    pub fn median(&self, from: Duration, to: Duration) -> Duration {
        let within = |entry: &&Entry| entry.sent >= from && entry.sent < to;
        let mut took: Vec<_> = self
            .entries
            .iter()
            .filter(within)
            .map(|entry| entry.took)
            .collect();
        took.sort_unstable();
        took.get(took.len() / 2).copied().unwrap_or_default()
    }

    /// How many requests a second were answered 204 of those sent in a part of
    /// the load.
    #[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^52")]
    pub fn rate(&self, from: Duration, to: Duration) -> f64 {
        let within = |entry: &&Entry| entry.sent >= from && entry.sent < to;
        let count = self.answered(204).filter(within).count();
        count as f64 / to.saturating_sub(from).as_secs_f64().max(0.001)
    }
}
