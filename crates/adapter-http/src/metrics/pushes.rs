//! Events pushed to subscribers, counted.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ports::metrics::{AttemptOutcome, StopReason};
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use super::histogram::Histogram;
use super::{MICROSECONDS, NoExemplar, micros};

/// What this process has pushed, and the subscriptions it has stopped.
pub(super) struct PushCounters {
    outcomes: [AtomicU64; AttemptOutcome::ALL.len()],
    duration: Histogram,
    slowed: AtomicU64,
    stopped: [AtomicU64; StopReason::ALL.len()],
}

impl PushCounters {
    pub(super) fn new() -> Self {
        let zero = |_| AtomicU64::new(0);
        Self {
            outcomes: std::array::from_fn(zero),
            duration: Histogram::new(MICROSECONDS, 1e6),
            slowed: AtomicU64::new(0),
            stopped: std::array::from_fn(zero),
        }
    }

    pub(super) fn pushed(&self, outcome: AttemptOutcome, took: Duration) {
        if let Some(count) = self.outcomes.get(outcome as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.duration.observe(micros(took));
    }

    pub(super) fn slowed(&self, during: Duration) {
        self.slowed.fetch_add(micros(during), Ordering::Relaxed);
    }

    pub(super) fn stopped(&self, reason: StopReason) {
        if let Some(count) = self.stopped.get(reason as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut shown = encoder.encode_descriptor(
            "receiptd_pushes",
            "Tries to push an event to a subscriber, by how they ended",
            None,
            MetricType::Counter,
        )?;
        for (outcome, count) in AttemptOutcome::ALL.into_iter().zip(&self.outcomes) {
            shown
                .encode_family(&[("outcome", outcome.as_str())])?
                .encode_counter(&count.load(Ordering::Relaxed), NoExemplar::None)?;
        }
        self.duration.encode(encoder.encode_descriptor(
            "receiptd_push_duration_seconds",
            "How long tries to push an event took",
            None,
            MetricType::Histogram,
        )?)?;
        let slowed = Duration::from_micros(self.slowed.load(Ordering::Relaxed));
        encoder
            .encode_descriptor(
                "receiptd_pushing_slowed_seconds",
                "How long events were pushed slowly because there were many reports",
                None,
                MetricType::Counter,
            )?
            .encode_counter(&slowed.as_secs_f64(), NoExemplar::None)?;
        let mut shown = encoder.encode_descriptor(
            "receiptd_subscriptions_stopped",
            "Subscriptions that this process has stopped serving, by reason",
            None,
            MetricType::Counter,
        )?;
        for (reason, count) in StopReason::ALL.into_iter().zip(&self.stopped) {
            shown
                .encode_family(&[("reason", reason.as_str())])?
                .encode_counter(&count.load(Ordering::Relaxed), NoExemplar::None)?;
        }
        Ok(())
    }
}
