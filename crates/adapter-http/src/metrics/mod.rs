//! What is counted, and how it is shown to Prometheus.
//!
//! Counting is adding to a number that is already there: no allocation, no lock
//! and no look-up of labels on the way of a report.

mod gauges;
mod histogram;
mod outcome;
mod pushes;
mod reports;
mod subscriptions;
mod text;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use domain::{Effect, IntegratorName, RejectionReason, ReportedStatus};
use ports::metrics::{AttemptOutcome, StopReason};
use ports::{Journal, Metrics};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Registry;
use usecases::ingest::group_commit::QueueSaturation;
use usecases::statistics::StatisticsReport;
use usecases::{Integrators, RetentionHolds};

use crate::connections::Connections;
use crate::watch::Watch;
use histogram::Histogram;
pub(crate) use outcome::Outcome;
use pushes::PushCounters;
use reports::ReportCounters;
use text::Format;

/// Bounds of durations, in microseconds.
const MICROSECONDS: &[u32] = &[
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];

/// Bounds of batch sizes.
const REPORTS: &[u32] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/// All counts of this process.
pub struct MetricsRegistry {
    version: &'static str,
    requests: [AtomicU64; Outcome::ALL.len()],
    request_duration: Histogram,
    reports: ReportCounters,
    rejections: [AtomicU64; RejectionReason::ALL.len()],
    commit_duration: Histogram,
    commit_batch_size: Histogram,
    commit_failures: AtomicU64,
    journaled: AtomicU64,
    drained: AtomicU64,
    pushes: PushCounters,
    channels: AtomicU64,
    journal: OnceLock<Arc<dyn Journal>>,
    pub(crate) connections: Arc<Connections>,
    backlog: OnceLock<QueueSaturation>,
    retention: OnceLock<Arc<RetentionHolds>>,
    dropped_log_lines: OnceLock<fn() -> u64>,
}

impl MetricsRegistry {
    /// Counts from zero. `version` is the one of the program.
    #[must_use]
    pub fn new(version: &'static str, integrators: &Integrators) -> Self {
        let zero = |_| AtomicU64::new(0);
        Self {
            version,
            requests: std::array::from_fn(zero),
            request_duration: Histogram::new(MICROSECONDS, 1e6),
            reports: ReportCounters::new(integrators),
            rejections: std::array::from_fn(zero),
            commit_duration: Histogram::new(MICROSECONDS, 1e6),
            commit_batch_size: Histogram::new(REPORTS, 1.0),
            commit_failures: AtomicU64::new(0),
            journaled: AtomicU64::new(0),
            drained: AtomicU64::new(0),
            pushes: PushCounters::new(),
            channels: AtomicU64::new(0),
            journal: OnceLock::new(),
            connections: Arc::default(),
            backlog: OnceLock::new(),
            retention: OnceLock::new(),
            dropped_log_lines: OnceLock::new(),
        }
    }

    /// Shows how much is in a journal, from now on.
    pub fn watch(&self, journal: Arc<dyn Journal>) {
        // The first one stays; there is only one.
        let _ = self.journal.set(journal);
    }

    /// Shows how much retention holds back, from now on.
    pub fn watch_retention(&self, holds: Arc<RetentionHolds>) {
        // The first one stays; there is only one.
        let _ = self.retention.set(holds);
    }

    /// Shows how many reports wait in an intake, from now on.
    pub fn watch_backlog(&self, backlog: QueueSaturation) {
        // The first one stays; there is only one.
        let _ = self.backlog.set(backlog);
    }

    /// Shows what `dropped` returns as the number of log lines that were not written.
    pub fn watch_log(&self, dropped: fn() -> u64) {
        // The first one stays; there is only one.
        let _ = self.dropped_log_lines.set(dropped);
    }

    /// A request to the webhook was answered.
    pub(crate) fn answered(&self, outcome: Outcome, took: Duration) {
        if let Some(count) = self.requests.get(outcome as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.request_duration.observe(micros(took));
    }

    /// Everything as OpenMetrics, and how subscriptions are if that is known.
    fn open_metrics(self: &Arc<Self>, survey: Option<StatisticsReport>) -> String {
        let mut registry = Registry::default();
        let metrics = Arc::clone(self);
        registry.register_collector(Box::new(Shown { metrics, survey }));
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &registry) {
            tracing::error!(%error, "the metrics were not written");
        }
        text
    }
}

/// Show metrics to Prometheus
///
/// As OpenMetrics to clients whose `Accept` names it, else in the classic text format.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "show_metrics",
    tag = "operating",
    responses(
        (status = 200, content(
            (String = "text/plain"),
            (String = "application/openmetrics-text"),
        )),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn show(watch: web::Data<Watch>, request: HttpRequest) -> HttpResponse {
    let survey = watch.run(watch.state.survey.run()).await;
    let format = Format::wanted(request.headers());
    let metrics = watch.state.metrics.open_metrics(survey);
    let text = match format {
        Format::OpenMetrics => metrics,
        Format::Classic => text::classic(&metrics),
    };
    HttpResponse::Ok()
        .content_type(format.media_type())
        .insert_header((header::VARY, "Accept"))
        .body(text)
}

impl Metrics for MetricsRegistry {
    fn recorded(&self, integrator: &IntegratorName, status: &ReportedStatus, effect: Effect) {
        self.reports.count(integrator, status, effect);
    }

    fn committed(&self, reports: usize, took: Duration) {
        self.commit_duration.observe(micros(took));
        self.commit_batch_size.observe(whole(reports));
    }

    fn commit_failed(&self, _: usize) {
        self.commit_failures.fetch_add(1, Ordering::Relaxed);
    }

    fn journaled(&self, reports: usize) {
        self.journaled.fetch_add(whole(reports), Ordering::Relaxed);
    }

    fn drained(&self, reports: usize) {
        self.drained.fetch_add(whole(reports), Ordering::Relaxed);
    }

    fn rejected(&self, reason: RejectionReason) {
        let place = RejectionReason::ALL.iter().position(|each| *each == reason);
        if let Some(count) = place.and_then(|place| self.rejections.get(place)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn pushed(&self, outcome: AttemptOutcome, took: Duration) {
        self.pushes.pushed(outcome, took);
    }

    fn pushing_slowed(&self, during: Duration) {
        self.pushes.slowed(during);
    }

    fn subscription_stopped(&self, reason: StopReason) {
        self.pushes.stopped(reason);
    }

    fn channels_known(&self, channels: usize) {
        self.channels.store(whole(channels), Ordering::Relaxed);
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn whole(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// The counts as they are shown.
struct Shown {
    metrics: Arc<MetricsRegistry>,
    survey: Option<StatisticsReport>,
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MetricsRegistry")
    }
}

/// For counters that have no exemplars.
type NoExemplar = Option<&'static Exemplar<NoLabelSet, f64>>;

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let MetricsRegistry {
            version,
            requests,
            request_duration,
            reports,
            rejections,
            commit_duration,
            commit_batch_size,
            commit_failures,
            journaled,
            drained,
            pushes,
            channels,
            journal,
            connections,
            backlog,
            retention,
            dropped_log_lines,
        } = self.metrics.as_ref();

        let mut shown = encoder.encode_descriptor(
            "receiptd_requests",
            "Requests to the webhook, by how they ended",
            None,
            MetricType::Counter,
        )?;
        for (outcome, count) in Outcome::ALL.into_iter().zip(requests) {
            shown
                .encode_family(&[("outcome", outcome.as_str())])?
                .encode_counter(&count.load(Ordering::Relaxed), NoExemplar::None)?;
        }

        request_duration.encode(encoder.encode_descriptor(
            "receiptd_request_duration_seconds",
            "How long requests to the webhook took",
            None,
            MetricType::Histogram,
        )?)?;

        reports.encode(encoder.encode_descriptor(
            "receiptd_reports",
            "Durable reports, by what they said and what they did to their message",
            None,
            MetricType::Counter,
        )?)?;

        let mut shown = encoder.encode_descriptor(
            "receiptd_rejections",
            "Proven reports that were refused, by reason",
            None,
            MetricType::Counter,
        )?;
        for (reason, count) in RejectionReason::ALL.into_iter().zip(rejections) {
            shown
                .encode_family(&[("reason", reason.as_str())])?
                .encode_counter(&count.load(Ordering::Relaxed), NoExemplar::None)?;
        }

        commit_duration.encode(encoder.encode_descriptor(
            "receiptd_commit_duration_seconds",
            "How long the store took to record a batch",
            None,
            MetricType::Histogram,
        )?)?;
        commit_batch_size.encode(encoder.encode_descriptor(
            "receiptd_commit_batch_size",
            "Reports recorded in one step",
            None,
            MetricType::Histogram,
        )?)?;
        encode_counters(&mut encoder, commit_failures, journaled, drained)?;
        if let Some(dropped) = dropped_log_lines.get() {
            encode_dropped_log_lines(&mut encoder, dropped())?;
        }
        pushes.encode(&mut encoder)?;
        if let Some(survey) = &self.survey {
            subscriptions::encode(&mut encoder, survey)?;
        }
        if let Some(journal) = journal.get() {
            gauges::encode_journal(&mut encoder, journal.usage())?;
        }

        gauges::encode_retention(&mut encoder, retention.get())?;
        let backlog = backlog.get().map(QueueSaturation::usage);
        gauges::encode_crowd(
            &mut encoder,
            connections.usage(),
            backlog.unwrap_or_default(),
        )?;
        encoder
            .encode_descriptor(
                "receiptd_channels",
                "Channels known to this process",
                None,
                MetricType::Gauge,
            )?
            .encode_gauge(&channels.load(Ordering::Relaxed))?;
        encoder
            .encode_descriptor(
                "receiptd_build",
                "The version of the program",
                None,
                MetricType::Info,
            )?
            .encode_info(&[("version", *version)])
    }
}

fn encode_dropped_log_lines(encoder: &mut DescriptorEncoder<'_>, dropped: u64) -> fmt::Result {
    encoder
        .encode_descriptor(
            "receiptd_log_lines_dropped",
            "Log lines that standard error did not take",
            None,
            MetricType::Counter,
        )?
        .encode_counter(&dropped, NoExemplar::None)
}

fn encode_counters(
    encoder: &mut DescriptorEncoder<'_>,
    commit_failures: &AtomicU64,
    journaled: &AtomicU64,
    drained: &AtomicU64,
) -> fmt::Result {
    for (name, help, count) in [
        (
            "receiptd_commit_failures",
            "Batches the store did not take",
            commit_failures,
        ),
        (
            "receiptd_journaled_reports",
            "Reports that went to the journal instead of the store",
            journaled,
        ),
        (
            "receiptd_drained_reports",
            "Reports that went from the journal into the store",
            drained,
        ),
    ] {
        encoder
            .encode_descriptor(name, help, None, MetricType::Counter)?
            .encode_counter(&count.load(Ordering::Relaxed), NoExemplar::None)?;
    }
    Ok(())
}
