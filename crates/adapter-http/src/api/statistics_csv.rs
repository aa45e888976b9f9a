//! Statistics as CSV.

use domain::DeliveryStatus;
use domain::statistics::StatusLabel;
use serde::Deserialize;
use usecases::spreadsheet::spreadsheet_cell;
use utoipa::ToSchema;

use super::statistics::{CountsView, DurationsView, StatisticsView};

/// What has a line of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatisticsLines {
    /// Each interval.
    Interval,
    /// Each channel.
    Channel,
    /// Each error code.
    Code,
}

impl StatisticsView {
    /// Returns the counts as CSV, with a line of names first. Spreadsheet programs take no cell
    /// for a formula.
    #[must_use]
    pub fn to_csv(&self, lines: StatisticsLines) -> String {
        let mut text = Lines::new();
        match lines {
            StatisticsLines::Interval => {
                text.counts_header("start");
                for each in &self.intervals {
                    text.counts(&each.start, &each.counts);
                }
            }
            StatisticsLines::Channel => {
                text.counts_header("channel_id");
                for each in &self.channels {
                    text.counts(&each.channel_id, &each.counts);
                }
            }
            StatisticsLines::Code => {
                text.add(["error_code", "messages"].map(str::to_owned));
                for (code, messages) in &self.total.errors {
                    text.add([code.clone(), messages.to_string()]);
                }
            }
        }
        text.finish()
    }
}

/// The names of columns of durations.
const DURATIONS: [&str; 3] = ["time_to_delivered", "time_to_read", "gaps"];

struct Lines(csv::Writer<Vec<u8>>);

impl Lines {
    fn new() -> Self {
        Self(csv::Writer::from_writer(Vec::new()))
    }

    fn add(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter();
        let cells = cells.map(|cell| spreadsheet_cell(&cell).into_owned());
        // Fails only if lines differ in length, which they do not, or the memory cannot be written.
        let _ = self.0.write_record(cells);
    }

    fn counts_header(&mut self, first: &str) {
        let outcomes = OUTCOMES.iter().map(|(name, _)| format!("messages_{name}"));
        let reports = labels().map(|label| format!("reports_{}", label.as_str()));
        let requests = REQUESTS.iter().map(|(name, _)| format!("requests_{name}"));
        let durations = DURATIONS
            .iter()
            .flat_map(|name| ["p50", "p90", "p99"].map(|share| format!("{name}_{share}_seconds")));
        let head = [first.to_owned(), "messages".to_owned()].into_iter();
        self.add(
            head.chain(outcomes)
                .chain(reports)
                .chain(requests)
                .chain(durations),
        );
    }

    fn counts(&mut self, first: &str, counts: &CountsView) {
        let outcomes = OUTCOMES.iter().map(|(_, count)| count(counts));
        let reports = labels().map(|label| counts.reports.get(label.as_str()).copied());
        let requests = REQUESTS.iter().map(|(_, count)| count(counts));
        let numbers = [counts.messages]
            .into_iter()
            .chain(outcomes)
            .chain(reports.map(Option::unwrap_or_default))
            .chain(requests)
            .map(|number| number.to_string());
        let durations = [
            &counts.time_to_delivered,
            &counts.time_to_read,
            &counts.gaps,
        ];
        let durations = durations.into_iter().flat_map(shares);
        let head = [first.to_owned()].into_iter();
        self.add(head.chain(numbers).chain(durations));
    }

    fn finish(self) -> String {
        let bytes = self.0.into_inner().unwrap_or_default();
        String::from_utf8(bytes).unwrap_or_default()
    }
}

type Count = fn(&CountsView) -> i64;

const OUTCOMES: [(&str, Count); 6] = [
    ("open", |counts| counts.outcomes.open),
    ("canceled", |counts| counts.outcomes.canceled),
    ("failed", |counts| counts.outcomes.failed),
    ("delivered", |counts| counts.outcomes.delivered),
    ("read", |counts| counts.outcomes.read),
    ("contradicted", |counts| counts.outcomes.contradicted),
];

const REQUESTS: [(&str, Count); 4] = [
    ("authenticated", |counts| counts.requests.authenticated),
    ("challenged", |counts| counts.requests.challenged),
    ("refused", |counts| counts.requests.refused),
    ("rejected", |counts| counts.requests.rejected.values().sum()),
];

fn labels() -> impl Iterator<Item = StatusLabel> {
    let sent = DeliveryStatus::ALL.into_iter().map(StatusLabel::Delivery);
    sent.chain([StatusLabel::Inbound, StatusLabel::Unknown])
}

/// Returns the shares of a duration; empty cells if it is not known.
fn shares(durations: &DurationsView) -> [String; 3] {
    [durations.p50, durations.p90, durations.p99]
        .map(|seconds| seconds.map_or_else(String::new, |seconds| seconds.to_string()))
}

#[cfg(test)]
mod tests {
    use domain::statistics::{Counts, Interval, MessageCell, RequestOutcome};
    use domain::{ChannelId, ErrorCode, Timestamp};
    use usecases::statistics::{CountedChannel, StatisticsReport};

    use super::*;

    fn view() -> StatisticsView {
        let start = Timestamp::parse("2026-11-22T18:00:00Z").unwrap();
        let mut counts = Counts::default();
        let failed = MessageCell {
            status: Some(DeliveryStatus::Failed),
            contradicted: false,
        };
        counts.messages.insert(failed, 2);
        counts.errors.insert(ErrorCode::parse("63016").unwrap(), 2);
        counts.reports.insert(StatusLabel::Inbound, 3);
        counts.requests.insert(RequestOutcome::Challenged, 4);
        counts.gaps.add(0, 2);
        let channel = CountedChannel {
            channel: ChannelId::parse("-1").unwrap(),
            total: counts.clone(),
            reports: [(start, 3)].into(),
            challenged_since: Some(start),
        };
        let report = StatisticsReport {
            interval: Interval::QuarterHour,
            from: start,
            until: start,
            intervals: [(start, counts.clone())].into(),
            channels: vec![channel],
            total: counts,
            lag_seconds: None,
            days_since: None,
        };
        StatisticsView::new(&report, "UTC")
    }

    fn cells(csv: &str) -> Vec<Vec<&str>> {
        let lines = csv.lines();
        lines.map(|line| line.split(',').collect()).collect()
    }

    #[test]
    fn each_line_has_a_cell_for_every_name() {
        let csv = view().to_csv(StatisticsLines::Interval);
        let lines = cells(&csv);
        let [names, line] = lines.as_slice() else {
            panic!("{csv}");
        };
        assert_eq!(names.len(), line.len());
        let cell = |name: &str| line[names.iter().position(|it| *it == name).unwrap()];
        assert_eq!(cell("start"), "2026-11-22T18:00:00.000000Z");
        assert_eq!(cell("messages"), "2");
        assert_eq!(cell("messages_failed"), "2");
        assert_eq!(cell("reports_inbound"), "3");
        assert_eq!(cell("reports_read"), "0");
        assert_eq!(cell("requests_challenged"), "4");
        assert_eq!(cell("gaps_p50_seconds"), "0.05");
        assert_eq!(cell("time_to_read_p50_seconds"), "");
    }

    #[test]
    fn no_cell_is_a_formula() {
        let csv = view().to_csv(StatisticsLines::Channel);
        assert_eq!(cells(&csv)[1][0], "'-1");
        let csv = view().to_csv(StatisticsLines::Code);
        assert_eq!(csv, "error_code,messages\n63016,2\n");
    }
}
