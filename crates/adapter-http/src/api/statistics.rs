//! Statistics.

use std::collections::BTreeMap;

use actix_web::http::header;
use actix_web::web::{Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use domain::statistics::{Counts, Histogram, Interval, Outcome, RequestOutcome};
use domain::{ChannelId, Timestamp};
use serde::{Deserialize, Serialize};
use usecases::statistics::{StatisticsQuery, StatisticsReport};
use utoipa::ToSchema;

use super::error::{ApiError, ApiResult, valid};
use super::operator::Operator;
use super::query::time;
use super::statistics_csv::StatisticsLines;

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
    /// Earlier days are those of another time zone, which was configured before; `null` if all days
    /// are those of `time_zone`.
    pub days_since: Option<String>,
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
    /// Requests of the integrator. A receiver writes them every few seconds.
    pub requests: RequestsView,
}

/// Requests of the integrator by their outcome.
#[derive(Debug, Serialize, ToSchema)]
pub struct RequestsView {
    /// With valid credentials, including those whose report was rejected.
    pub authenticated: i64,
    /// Without credentials, answered with a challenge. Valid requests of Twilio begin so.
    pub challenged: i64,
    /// With wrong credentials.
    pub refused: i64,
    /// With valid credentials and a report that was rejected, by the reason.
    pub rejected: BTreeMap<String, i64>,
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
            days_since: report.days_since.map(|since| since.to_string()),
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
            requests: RequestsView::new(counts),
        }
    }
}

impl RequestsView {
    fn new(counts: &Counts) -> Self {
        let rejected = counts.requests.iter().filter_map(|(outcome, requests)| {
            let reason = outcome.rejection()?;
            Some((reason.as_str().to_owned(), *requests))
        });
        Self {
            authenticated: counts.requests_with(RequestOutcome::Authenticated),
            challenged: counts.requests_with(RequestOutcome::Challenged),
            refused: counts.requests_with(RequestOutcome::Refused),
            rejected: rejected.collect(),
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
    /// The format of the answer. Default: `csv` if `Accept` names `text/csv`, otherwise `json`.
    #[param(inline)]
    format: Option<StatisticsFormat>,
    /// What has a line of its own in CSV. Default: `interval`.
    #[param(inline)]
    by: Option<StatisticsLines>,
}

/// A format of statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatisticsFormat {
    /// One JSON object.
    Json,
    /// CSV with a line of names.
    Csv,
}

/// Read statistics
///
/// Counts of messages, reports and requests by interval and by channel.
#[utoipa::path(
    get, path = "/api/v1/stats",
    operation_id = "read_statistics",
    tag = "statistics",
    params(StatisticsParameters),
    responses((
        status = 200,
        content((StatisticsView = "application/json"), (String = "text/csv")),
    )),
)]
pub(crate) async fn show(
    operator: Data<Operator>,
    query: Query<StatisticsParameters>,
    request: HttpRequest,
) -> ApiResult {
    let lines = query.by.unwrap_or(StatisticsLines::Interval);
    let format = query.format.unwrap_or_else(|| accepted_format(&request));
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
    let view = StatisticsView::new(&report, zone);
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::VARY, "Accept"));
    Ok(match format {
        StatisticsFormat::Json => answer.json(view),
        StatisticsFormat::Csv => answer
            .content_type("text/csv; charset=utf-8")
            .insert_header((
                header::CONTENT_DISPOSITION,
                "attachment; filename=\"statistics.csv\"",
            ))
            .body(view.to_csv(lines)),
    })
}

/// Returns the format that `Accept` names.
fn accepted_format(request: &HttpRequest) -> StatisticsFormat {
    let accepted = request.headers().get_all(header::ACCEPT);
    let mut accepted = accepted.filter_map(|line| line.to_str().ok());
    if accepted.any(|line| line.to_ascii_lowercase().contains("text/csv")) {
        StatisticsFormat::Csv
    } else {
        StatisticsFormat::Json
    }
}

fn in_order(from: Timestamp, until: Timestamp) -> Result<(), ApiError> {
    let order = if from < until {
        Ok(())
    } else {
        Err("from lies before until")
    };
    valid("from", order)
}
