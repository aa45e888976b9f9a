//! Statistics.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use domain::statistics::{Counts, Histogram, Interval, Outcome};
use domain::{ChannelId, Timestamp};
use serde::{Deserialize, Serialize};
use usecases::statistics::{StatisticsQuery, StatisticsReport};
use utoipa::ToSchema;

use super::error::{ApiError, ApiResult, valid};
use super::operator::Operator;
use super::query::time;

const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// Statistics of a time.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatisticsView {
    /// The start of the first interval.
    pub from: String,
    /// The end of the last interval, which may not be over.
    pub until: String,
    /// The length of the intervals: `quarter_hour` or `day`.
    #[schema(example = "quarter_hour")]
    pub interval: String,
    /// The time zone of the days.
    pub time_zone: String,
    /// Age in seconds of the oldest report that is not counted yet; `null` if all are.
    pub lag_seconds: Option<u64>,
    /// All counts together.
    pub total: CountsView,
    /// The counts of each interval that has any, by its start.
    pub intervals: Vec<IntervalView>,
    /// The counts of each channel that has any.
    pub channels: Vec<ChannelCountsView>,
}

/// The counts of an interval.
#[derive(Debug, Serialize, ToSchema)]
pub struct IntervalView {
    /// Its start.
    pub start: String,
    /// Its counts.
    pub counts: CountsView,
}

/// The counts of a channel.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChannelCountsView {
    /// The channel.
    pub channel_id: String,
    /// Its counts.
    pub counts: CountsView,
}

/// Counts. A message counts in the interval in which its first report arrived.
#[derive(Debug, Serialize, ToSchema)]
pub struct CountsView {
    /// Messages.
    pub messages: i64,
    /// Messages by their present outcome; they add up to `messages`.
    pub outcomes: OutcomesView,
    /// Messages by the code of their error.
    pub errors: BTreeMap<String, i64>,
    /// Time from the first report to `delivered`.
    pub time_to_delivered: DurationsView,
    /// Time from the first report to `read`.
    pub time_to_read: DurationsView,
    /// Reports that arrived, by status, without duplicates.
    pub reports: BTreeMap<String, i64>,
    /// Time between consecutive reports of a channel, where it began in the interval.
    pub gaps: DurationsView,
}

/// Messages by their present outcome.
#[derive(Debug, Serialize, ToSchema)]
pub struct OutcomesView {
    /// Neither arrived nor failed yet.
    pub open: i64,
    /// Canceled before they were sent.
    pub canceled: i64,
    /// Failed or undelivered.
    pub failed: i64,
    /// Delivered, and not known to be read.
    pub delivered: i64,
    /// Read.
    pub read: i64,
    /// Reported both as arrived and as failed.
    pub contradicted: i64,
}

/// How long something took, in seconds.
#[derive(Debug, Serialize, ToSchema)]
pub struct DurationsView {
    /// How many durations are known.
    pub count: i64,
    /// Half of them are no longer; `null` without any.
    pub p50: Option<f64>,
    /// Nine tenths of them are no longer.
    pub p90: Option<f64>,
    /// All but a hundredth are no longer.
    pub p99: Option<f64>,
}

impl StatisticsView {
    /// Shows statistics whose days are those of `time_zone`.
    #[must_use]
    pub fn new(report: &StatisticsReport, time_zone: &str) -> Self {
        let intervals = report.intervals.iter();
        let channels = report.channels.iter();
        Self {
            from: report.from.to_string(),
            until: report.until.to_string(),
            interval: match report.interval {
                Interval::QuarterHour => "quarter_hour".to_owned(),
                Interval::Day => "day".to_owned(),
            },
            time_zone: time_zone.to_owned(),
            lag_seconds: report.lag_seconds,
            total: CountsView::new(&report.total),
            intervals: intervals
                .map(|(start, counts)| IntervalView {
                    start: start.to_string(),
                    counts: CountsView::new(counts),
                })
                .collect(),
            channels: channels
                .map(|counted| ChannelCountsView {
                    channel_id: counted.channel.to_string(),
                    counts: CountsView::new(&counted.total),
                })
                .collect(),
        }
    }
}

impl CountsView {
    fn new(counts: &Counts) -> Self {
        let reports = counts.reports.iter();
        Self {
            messages: counts.total_messages(),
            outcomes: OutcomesView {
                open: counts.messages_with(Outcome::Open),
                canceled: counts.messages_with(Outcome::Canceled),
                failed: counts.messages_with(Outcome::Failed),
                delivered: counts.messages_with(Outcome::Delivered),
                read: counts.messages_with(Outcome::Read),
                contradicted: counts.messages_with(Outcome::Contradicted),
            },
            errors: counts
                .errors
                .iter()
                .map(|(code, count)| (code.to_string(), *count))
                .collect(),
            time_to_delivered: DurationsView::new(&counts.time_to_delivered),
            time_to_read: DurationsView::new(&counts.time_to_read),
            reports: reports
                .map(|(label, count)| (label.as_str().to_owned(), *count))
                .collect(),
            gaps: DurationsView::new(&counts.gaps),
        }
    }
}

impl DurationsView {
    fn new(histogram: &Histogram) -> Self {
        Self {
            count: histogram.total(),
            p50: histogram.quantile(0.5),
            p90: histogram.quantile(0.9),
            p99: histogram.quantile(0.99),
        }
    }
}

/// The parameters of statistics.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StatisticsParameters {
    /// Only this channel.
    channel: Option<String>,
    /// From the interval that this time lies in. Default: 24 hours before `until`.
    #[param(format = "date-time")]
    from: Option<String>,
    /// Up to this time. Default: now. Up to eight days are shown by quarters of an hour, a longer
    /// time by days.
    #[param(format = "date-time")]
    until: Option<String>,
}

/// Read statistics
///
/// Counts of messages and reports by interval and by channel.
#[utoipa::path(
    get, path = "/api/v1/stats",
    operation_id = "read_statistics",
    tag = "statistics",
    params(StatisticsParameters),
    responses((status = 200, body = StatisticsView)),
)]
pub(crate) async fn show(
    operator: Data<Operator>,
    query: Query<StatisticsParameters>,
) -> ApiResult {
    let statistics = &operator.state.read_statistics;
    let channel = query.channel.as_deref().map(ChannelId::parse).transpose();
    let until = time("until", query.until.as_deref())?;
    let until = until.unwrap_or_else(|| statistics.now());
    let from = time("from", query.from.as_deref())?;
    let query = StatisticsQuery {
        from: from.unwrap_or_else(|| until.plus_micros(-DAY_MICROS)),
        until,
        channel: valid("channel", channel)?,
    };
    in_order(query.from, query.until)?;
    let report = operator.run(statistics.read(&query)).await?;
    let zone = statistics.calendar().zone();
    Ok(HttpResponse::Ok().json(StatisticsView::new(&report, zone)))
}

fn in_order(from: Timestamp, until: Timestamp) -> Result<(), ApiError> {
    let order = if from < until {
        Ok(())
    } else {
        Err("from lies before until")
    };
    valid("from", order)
}
