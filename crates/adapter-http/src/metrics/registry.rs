//! All metrics of this process. Their handles are resolved once: counting a report allocates
//! nothing and looks no label up.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use domain::{Effect, IntegratorName, RejectionReason, ReportedStatus};
use ports::metrics::{AttemptOutcome, ForwardOutcome, StopReason};
use ports::{Journal, Metrics};
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use usecases::forwarding::WaitingByChannel;
use usecases::ingest::queue::QueueDepth;
use usecases::subscriptions::statistics::StatisticsReport;
use usecases::trouble::OpenTroubles;
use usecases::{Integrators, RetentionHolds};

use super::counter_set::CounterSet;
use super::reconciliation::ReconciliationCounters;
use super::reports::ReportCounters;
use super::{forwarding, subscriptions, troubles};
use crate::connections::Connections;
use crate::outcome::Outcome;

/// Upper bounds of the buckets of durations, in seconds.
const DURATION_BUCKETS: [f64; 15] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0,
];

/// Upper bounds of the buckets of batch sizes.
const BATCH_BUCKETS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// Figures that come from the store; those that could not be read are `None`.
pub(crate) struct StoredFigures {
    pub(crate) subscriptions: Option<StatisticsReport>,
    pub(crate) troubles: Option<OpenTroubles>,
    pub(crate) forwarding: Option<WaitingByChannel>,
}

/// All metrics of this process.
pub struct MetricsRegistry {
    version: &'static str,
    requests: CounterSet<{ Outcome::ALL.len() }>,
    request_duration: Histogram,
    reports: ReportCounters,
    rejections: CounterSet<{ RejectionReason::ALL.len() }>,
    /// By integrator and kind; kinds are a few constants of the adapters.
    ignored: Family<Vec<(&'static str, String)>, Counter>,
    failed_callbacks: Family<Vec<(&'static str, String)>, Counter>,
    commit_duration: Histogram,
    commit_batch_size: Histogram,
    commit_failures: Counter,
    reconciled: ReconciliationCounters,
    journaled: Counter,
    drained: Counter,
    forwarding: CounterSet<{ ForwardOutcome::ALL.len() }>,
    attempts: CounterSet<{ AttemptOutcome::ALL.len() }>,
    attempt_duration: Histogram,
    throttled_seconds: Counter<f64>,
    stopped_subscriptions: CounterSet<{ StopReason::ALL.len() }>,
    channels: Gauge,
    pub(crate) connections: Arc<Connections>,
    journal: OnceLock<Arc<dyn Journal>>,
    queue: OnceLock<QueueDepth>,
    retention: OnceLock<Arc<RetentionHolds>>,
    dropped_log_lines: OnceLock<fn() -> u64>,
}

impl MetricsRegistry {
    /// Starts all counters at zero. `version` is that of the program.
    #[must_use]
    pub fn new(version: &'static str, integrators: &Integrators) -> Self {
        let rejections = RejectionReason::ALL.map(RejectionReason::as_str);
        let stopped = StopReason::ALL.map(StopReason::as_str);
        Self {
            version,
            requests: CounterSet::new("outcome", Outcome::ALL.map(Outcome::as_str)),
            request_duration: Histogram::new(DURATION_BUCKETS),
            reports: ReportCounters::new(integrators),
            rejections: CounterSet::new("reason", rejections),
            ignored: Family::default(),
            failed_callbacks: Family::default(),
            commit_duration: Histogram::new(DURATION_BUCKETS),
            commit_batch_size: Histogram::new(BATCH_BUCKETS),
            commit_failures: Counter::default(),
            reconciled: ReconciliationCounters::default(),
            journaled: Counter::default(),
            drained: Counter::default(),
            forwarding: CounterSet::new("outcome", ForwardOutcome::ALL.map(ForwardOutcome::as_str)),
            attempts: CounterSet::new("outcome", AttemptOutcome::ALL.map(AttemptOutcome::as_str)),
            attempt_duration: Histogram::new(DURATION_BUCKETS),
            throttled_seconds: Counter::default(),
            stopped_subscriptions: CounterSet::new("reason", stopped),
            channels: Gauge::default(),
            connections: Arc::default(),
            journal: OnceLock::new(),
            queue: OnceLock::new(),
            retention: OnceLock::new(),
            dropped_log_lines: OnceLock::new(),
        }
    }

    /// Adds the metrics of the journal. Only the first one is shown.
    pub fn observe_journal(&self, journal: Arc<dyn Journal>) {
        let _ = self.journal.set(journal);
    }

    /// Adds the metrics of what retention holds back. Only the first one is shown.
    pub fn observe_retention(&self, holds: Arc<RetentionHolds>) {
        let _ = self.retention.set(holds);
    }

    /// Adds the metrics of the ingest queue. Only the first one is shown.
    pub fn observe_queue(&self, queue: QueueDepth) {
        let _ = self.queue.set(queue);
    }

    /// Adds the counter of dropped log lines, whose value `dropped` returns. Only the first one is
    /// shown.
    pub fn observe_dropped_log_lines(&self, dropped: fn() -> u64) {
        let _ = self.dropped_log_lines.set(dropped);
    }

    /// Counts an answered request to the webhook.
    pub(crate) fn answered(&self, outcome: Outcome, took: Duration) {
        self.requests.inc(outcome as usize);
        self.request_duration.observe(took.as_secs_f64());
    }

    /// Encodes all metrics as OpenMetrics, with those that come from the store if they are known.
    pub(crate) fn encode(&self, stored: &StoredFigures) -> String {
        let mut registry = Registry::default();
        self.register_ingest(&mut registry);
        self.register_delivery(&mut registry);
        self.reconciled.register(&mut registry);
        if let Some(statistics) = &stored.subscriptions {
            subscriptions::register(&mut registry, statistics);
        }
        if let Some(open) = &stored.troubles {
            troubles::register(&mut registry, open);
        }
        if let Some(waiting) = &stored.forwarding {
            forwarding::register(&mut registry, waiting);
        }
        self.register_process(&mut registry);
        let mut text = String::new();
        if let Err(error) = text::encode(&mut text, &registry) {
            tracing::error!(%error, "metrics were not encoded");
        }
        text
    }

    fn register_ingest(&self, registry: &mut Registry) {
        let help = "Requests that are not reports and are forwarded, by what happened to them";
        let forwarding = self.forwarding.family.clone();
        registry.register("receiptd_forwarded_requests", help, forwarding);
        let help = "Requests to the webhook, by outcome";
        registry.register("receiptd_requests", help, self.requests.family.clone());
        let help = "Duration of requests to the webhook";
        registry.register(
            "receiptd_request_duration_seconds",
            help,
            self.request_duration.clone(),
        );
        let help = "Durable reports, by status and by their effect on the message";
        registry.register("receiptd_reports", help, self.reports.family.clone());
        let help = "Rejected reports of authenticated callers, by reason";
        registry.register("receiptd_rejections", help, self.rejections.family.clone());
        let help = "Elements of requests that were no reports, by integrator and kind";
        registry.register("receiptd_ignored_elements", help, self.ignored.clone());
        let help = "Reports that the integrator could not deliver, as it says, by integrator";
        let failed = self.failed_callbacks.clone();
        registry.register("receiptd_failed_callbacks", help, failed);
        let help = "Time the store took to record a batch";
        registry.register(
            "receiptd_commit_duration_seconds",
            help,
            self.commit_duration.clone(),
        );
        let help = "Reports recorded in one batch";
        registry.register(
            "receiptd_commit_batch_size",
            help,
            self.commit_batch_size.clone(),
        );
        let help = "Batches the store did not record";
        registry.register(
            "receiptd_commit_failures",
            help,
            self.commit_failures.clone(),
        );
        let help = "Reports written to the journal instead of the store";
        registry.register("receiptd_journaled_reports", help, self.journaled.clone());
        let help = "Reports moved from the journal into the store";
        registry.register("receiptd_drained_reports", help, self.drained.clone());
    }

    fn register_delivery(&self, registry: &mut Registry) {
        let help = "Attempts to deliver an event to a subscriber, by outcome";
        registry.register("receiptd_pushes", help, self.attempts.family.clone());
        let help = "Duration of attempts to deliver an event";
        registry.register(
            "receiptd_push_duration_seconds",
            help,
            self.attempt_duration.clone(),
        );
        let help = "Time for which event delivery was throttled in favour of reports";
        registry.register(
            "receiptd_pushing_slowed_seconds",
            help,
            self.throttled_seconds.clone(),
        );
        let help = "Subscriptions that this process has stopped serving, by reason";
        registry.register(
            "receiptd_subscriptions_stopped",
            help,
            self.stopped_subscriptions.family.clone(),
        );
    }

    fn register_process(&self, registry: &mut Registry) {
        let mut gauge = |name, help, value: u64| {
            registry.register(name, help, ConstGauge::new(value));
        };
        let (open, limit) = self.connections.usage();
        let open_help = "Connections of the public listener";
        gauge("receiptd_connections", open_help, whole(open));
        let limit_help = "Maximum number of connections of the public listener";
        gauge("receiptd_connections_allowed", limit_help, whole(limit));
        let queue = self.queue.get().map(QueueDepth::usage);
        let (depth, capacity) = queue.unwrap_or_default();
        let depth_help = "Reports in the ingest queue";
        gauge("receiptd_queue_reports", depth_help, whole(depth));
        let capacity_help = "Capacity of the ingest queue in reports";
        gauge(
            "receiptd_queue_allowed_reports",
            capacity_help,
            whole(capacity),
        );
        if let Some(holds) = self.retention.get() {
            let help = "Kinds of data that retention does not remove until the clock is right \
                        again or an operator releases it";
            gauge(
                "receiptd_retention_held_back",
                help,
                whole(holds.all().len()),
            );
        }
        let usage = self.journal.get().map(|journal| journal.usage());
        if let Some(usage) = &usage {
            let entries = "Reports in the journal that are not in the store yet";
            gauge("receiptd_journal_entries", entries, usage.entries);
            let bytes = "Size of the journal on disk";
            gauge("receiptd_journal_bytes", bytes, usage.bytes);
            let capacity = "Maximum size of the journal on disk";
            gauge("receiptd_journal_capacity_bytes", capacity, usage.capacity);
            let set_aside = "Damaged files of the journal that were set aside";
            gauge(
                "receiptd_journal_set_aside_files",
                set_aside,
                usage.set_aside,
            );
        }
        if let Some(usage) = usage {
            let help = "Damaged places in the journal; each lost at least one acknowledged report";
            registry.register(
                "receiptd_journal_damaged",
                help,
                ConstCounter::new(usage.damaged),
            );
        }
        if let Some(dropped) = self.dropped_log_lines.get() {
            let help = "Log lines that could not be written to standard error";
            registry.register(
                "receiptd_log_lines_dropped",
                help,
                ConstCounter::new(dropped()),
            );
        }
        let help = "Channels known to this process";
        registry.register("receiptd_channels", help, self.channels.clone());
        let help = "Version of the program";
        registry.register(
            "receiptd_build",
            help,
            Info::new([("version", self.version)]),
        );
    }
}

impl Metrics for MetricsRegistry {
    fn reconciled(&self, checked: u64, recovered: u64) {
        self.reconciled.add(checked, recovered);
    }

    fn reconciliation_failed(&self) {
        self.reconciled.add_failure();
    }

    fn recorded(&self, integrator: &IntegratorName, status: &ReportedStatus, effect: Effect) {
        self.reports.inc(integrator, status, effect);
    }

    fn committed(&self, reports: usize, took: Duration) {
        self.commit_duration.observe(took.as_secs_f64());
        let reports = u32::try_from(reports).unwrap_or(u32::MAX);
        self.commit_batch_size.observe(reports.into());
    }

    fn commit_failed(&self, _: usize) {
        self.commit_failures.inc();
    }

    fn journaled(&self, reports: usize) {
        self.journaled.inc_by(whole(reports));
    }

    fn drained(&self, reports: usize) {
        self.drained.inc_by(whole(reports));
    }

    fn rejected(&self, reason: RejectionReason) {
        self.rejections.inc(reason as usize);
    }

    fn ignored(&self, integrator: &IntegratorName, kind: &'static str) {
        let labels = vec![
            ("integrator", integrator.to_string()),
            ("kind", kind.to_owned()),
        ];
        self.ignored.get_or_create(&labels).inc();
    }

    fn callbacks_failed(&self, integrator: &IntegratorName, messages: usize) {
        let labels = vec![("integrator", integrator.to_string())];
        let messages = u64::try_from(messages).unwrap_or(u64::MAX);
        self.failed_callbacks
            .get_or_create(&labels)
            .inc_by(messages);
    }

    fn forwarding(&self, outcome: ForwardOutcome, requests: u64) {
        self.forwarding.inc_by(outcome as usize, requests);
    }

    fn pushed(&self, outcome: AttemptOutcome, took: Duration) {
        self.attempts.inc(outcome as usize);
        self.attempt_duration.observe(took.as_secs_f64());
    }

    fn delivery_throttled(&self, during: Duration) {
        self.throttled_seconds.inc_by(during.as_secs_f64());
    }

    fn subscription_stopped(&self, reason: StopReason) {
        self.stopped_subscriptions.inc(reason as usize);
    }

    fn channels_known(&self, channels: usize) {
        self.channels
            .set(i64::try_from(channels).unwrap_or(i64::MAX));
    }
}

fn whole(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_in_the_order_of_declaration() {
        for (index, reason) in RejectionReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
        }
        for (index, outcome) in ForwardOutcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index);
        }
        for (index, outcome) in AttemptOutcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index);
        }
        for (index, reason) in StopReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
        }
    }
}
