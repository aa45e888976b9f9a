//! How every report that was sent was answered.

use std::collections::HashSet;
use std::ops::Range;
use std::time::Duration;

use traffic::integrator::Integrator;

use super::report::Report;
use crate::latencies::Latencies;

/// All requests of some loads, in no order.
#[derive(Debug, Default)]
pub struct Ledger {
    pub exchanges: Vec<Exchange>,
}

/// One report and the response to its request.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    pub integrator: Integrator,
    pub stream: u64,
    /// The number of the report in its stream.
    pub number: u64,
    /// When it was sent, counted from the start of the load.
    pub sent: Duration,
    /// How long the response took, or how long the load waited for it in vain.
    pub took: Duration,
    /// `None` if there was no response. Success is 204, whichever status the integrator gets.
    pub status: Option<u16>,
}

impl Exchange {
    fn report(&self) -> Report {
        Report::nth(self.integrator, self.stream, self.number)
    }
}

impl Ledger {
    pub fn add(&mut self, other: Self) {
        self.exchanges.extend(other.exchanges);
    }

    /// Returns the reports that were answered 204.
    pub fn acknowledged(&self) -> HashSet<Report> {
        self.answered(204).map(Exchange::report).collect()
    }

    /// Returns all reports that were sent.
    pub fn sent(&self) -> HashSet<Report> {
        self.exchanges.iter().map(Exchange::report).collect()
    }

    /// Requests that were answered with this status.
    pub fn answered(&self, status: u16) -> impl Iterator<Item = &Exchange> {
        let exchanges = self.exchanges.iter();
        exchanges.filter(move |exchange| exchange.status == Some(status))
    }

    /// Requests that were answered with anything but 204.
    pub fn refused(&self) -> impl Iterator<Item = &Exchange> {
        let exchanges = self.exchanges.iter();
        exchanges.filter(|exchange| exchange.status.is_some_and(|status| status != 204))
    }

    /// Requests that were not answered.
    pub fn unanswered(&self) -> impl Iterator<Item = &Exchange> {
        let exchanges = self.exchanges.iter();
        exchanges.filter(|exchange| exchange.status.is_none())
    }

    /// Returns the reports of which no request was answered.
    pub fn unanswered_reports(&self) -> HashSet<Report> {
        let answered = self.exchanges.iter().filter(|it| it.status.is_some());
        let answered: HashSet<_> = answered.map(Exchange::report).collect();
        let unanswered = self.unanswered().map(Exchange::report);
        unanswered
            .filter(|report| !answered.contains(report))
            .collect()
    }

    pub fn slowest(&self) -> Duration {
        slowest(&mut self.exchanges.iter())
    }

    /// Returns the median latency of requests that were sent in a part of the load and answered
    /// 204.
    pub fn median(&self, window: &Range<Duration>) -> Duration {
        let mut latencies = Latencies::default();
        for exchange in self.accepted_in(window) {
            latencies.add(exchange.took);
        }
        latencies.quantile(0.5)
    }

    /// Requests per second that were sent in a part of the load and answered 204.
    #[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^52")]
    pub fn rate(&self, window: &Range<Duration>) -> f64 {
        let length = window.end.saturating_sub(window.start);
        self.accepted_in(window).count() as f64 / length.as_secs_f64().max(0.001)
    }

    fn accepted_in(&self, window: &Range<Duration>) -> impl Iterator<Item = &Exchange> {
        self.answered(204)
            .filter(|exchange| window.contains(&exchange.sent))
    }
}

/// Returns the longest time that any of these took.
pub fn slowest(exchanges: &mut dyn Iterator<Item = &Exchange>) -> Duration {
    exchanges
        .map(|exchange| exchange.took)
        .max()
        .unwrap_or_default()
}
