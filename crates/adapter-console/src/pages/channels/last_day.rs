//! What arrived on each channel within the last 24 hours.

use domain::statistics::{Outcome, QUARTER_HOUR_MICROS, RequestOutcome, quarter_hour};
use domain::{ChannelId, ErrorCode, Timestamp};
use usecases::statistics::{CountedChannel, StatisticsQuery, StatisticsReport};

use crate::console::Console;
use crate::html::Html;
use crate::number::percent;
use crate::plot::sparkline::sparkline;
use crate::visit::Visit;

const HOUR_MICROS: i64 = 3_600_000_000;
const DAY_MICROS: i64 = 24 * HOUR_MICROS;

/// The counts of the last 24 hours.
pub(crate) struct LastDay(Option<StatisticsReport>);

impl LastDay {
    /// Reads the counts. Pages are shown without them if that fails.
    pub(crate) async fn read(console: &Console, visit: &Visit) -> Self {
        let until = quarter_hour(visit.times.now()).plus_micros(QUARTER_HOUR_MICROS);
        let query = StatisticsQuery {
            from: until.plus_micros(-DAY_MICROS),
            until,
            channel: None,
        };
        let report = console.run(console.state.statistics.read(&query)).await;
        Self(report.ok())
    }

    fn of(&self, id: &ChannelId) -> Option<&CountedChannel> {
        let channels = &self.0.as_ref()?.channels;
        channels.iter().find(|each| each.channel == *id)
    }

    /// Returns about when the last report of a channel arrived: the start of its quarter of an
    /// hour.
    pub(crate) fn last_report(&self, id: &ChannelId) -> Option<Timestamp> {
        let reports = self.of(id)?.reports.iter();
        let last = reports.rev().find(|(_, count)| **count > 0);
        last.map(|(start, _)| *start)
    }

    /// Returns how many requests without credentials reached a channel, and about since when;
    /// `None` if there were none.
    pub(crate) fn challenges(&self, id: &ChannelId) -> Option<(u64, Timestamp)> {
        let counted = self.of(id)?;
        let requests = counted.total.requests_with(RequestOutcome::Challenged);
        Some((unsigned(requests), counted.challenged_since?))
    }

    /// Returns the requests to a channel by their outcome: with valid credentials, without any,
    /// with wrong ones, and rejected. `None` if there were none.
    pub(crate) fn requests(&self, id: &ChannelId) -> Option<[u64; 4]> {
        let total = &self.of(id)?.total;
        let requests = [
            total.requests_with(RequestOutcome::Authenticated),
            total.requests_with(RequestOutcome::Challenged),
            total.requests_with(RequestOutcome::Refused),
            total.rejected_requests(),
        ];
        (!total.requests.is_empty()).then(|| requests.map(unsigned))
    }

    /// Returns how many messages of a channel have an error; `None` if it was not counted.
    pub(crate) fn with_error(&self, id: &ChannelId, code: &ErrorCode) -> Option<u64> {
        let counted = self.0.as_ref()?.channels.iter();
        let counted = counted.filter(|each| each.channel == *id);
        let counts = counted.filter_map(|each| each.total.errors.get(code));
        Some(unsigned(counts.sum()))
    }

    /// Draws the reports of each hour; `None` if there were none. `place` is unique on the page.
    pub(crate) fn trend(&self, id: &ChannelId, place: usize) -> Option<Html> {
        let (from, counted) = (self.0.as_ref()?.from, self.of(id)?);
        let values: Vec<u64> = (0..DAY_MICROS / HOUR_MICROS)
            .map(|hour| {
                let from = from.plus_micros(hour * HOUR_MICROS);
                let reports = counted.reports.range(from..from.plus_micros(HOUR_MICROS));
                unsigned(reports.map(|(_, count)| *count).sum())
            })
            .collect();
        let any = values.iter().any(|value| *value > 0);
        let id = format!("trend-{place}");
        let title = "Reports of each of the last 24 hours";
        any.then(|| sparkline(&id, title, "delivered", &values))
    }

    /// Returns the share of the messages of a channel that failed; `None` if there were none.
    pub(crate) fn failed(&self, id: &ChannelId) -> Option<String> {
        let total = &self.of(id)?.total;
        let failed = unsigned(total.messages_with(Outcome::Failed));
        let all = unsigned(total.total_messages());
        (all > 0).then(|| percent(failed, all))
    }
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}
