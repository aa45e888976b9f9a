//! Durable reports by integrator, status and effect: one number each, so that
//! counting looks nothing up but the integrator.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::{DeliveryStatus, Effect, InboundStatus, IntegratorName, ReportedStatus};
use prometheus_client::encoding::MetricEncoder;
use usecases::Integrators;

use super::NoExemplar;

const EFFECTS: usize = Effect::ALL.len();

/// The eleven statuses, the two words of incoming messages, and all others
/// under one word: their number must not grow with what callers make up.
const STATUSES: usize = DeliveryStatus::ALL.len() + 3;

pub(super) struct ReportCounters(Vec<(IntegratorName, [[AtomicU64; EFFECTS]; STATUSES])>);

impl ReportCounters {
    pub(super) fn new(integrators: &Integrators) -> Self {
        let zeros = || std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0)));
        let names = integrators.iter().map(|each| each.name().clone());
        Self(names.map(|name| (name, zeros())).collect())
    }

    pub(super) fn count(
        &self,
        integrator: &IntegratorName,
        status: &ReportedStatus,
        effect: Effect,
    ) {
        let counters = self.0.iter().find(|(name, _)| name == integrator);
        let counter = counters
            .and_then(|(_, by_status)| by_status.get(place_of(status)))
            .and_then(|by_effect| by_effect.get(effect as usize));
        if let Some(counter) = counter {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (integrator, by_status) in &self.0 {
            for (status, by_effect) in words().zip(by_status) {
                for (effect, counter) in Effect::ALL.into_iter().zip(by_effect) {
                    let count = counter.load(Ordering::Relaxed);
                    // Most pairs cannot occur; they are not shown before they do.
                    if count > 0 || occurs(status, effect) {
                        let labels = [
                            ("integrator", integrator.as_str()),
                            ("status", status),
                            ("effect", effect.as_str()),
                        ];
                        encoder
                            .encode_family(&labels)?
                            .encode_counter(&count, NoExemplar::None)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn place_of(status: &ReportedStatus) -> usize {
    match status {
        ReportedStatus::Delivery(status) => usize::from(status.rank()),
        ReportedStatus::Inbound(InboundStatus::Receiving) => STATUSES - 3,
        ReportedStatus::Inbound(InboundStatus::Received) => STATUSES - 2,
        ReportedStatus::Unknown(_) => STATUSES - 1,
    }
}

fn words() -> impl Iterator<Item = &'static str> {
    DeliveryStatus::ALL
        .into_iter()
        .map(DeliveryStatus::as_str)
        .chain(["receiving", "received", "unknown"])
}

fn occurs(status: &str, effect: Effect) -> bool {
    let inbound = matches!(status, "receiving" | "received");
    let unknown = status == "unknown";
    match effect {
        Effect::Advanced | Effect::Late => !inbound && !unknown,
        Effect::Duplicate => true,
        Effect::UnknownStatus => unknown,
        Effect::Inbound => inbound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_counted_under_its_own_name() {
        for (place, word) in words().enumerate() {
            assert_eq!(
                place_of(&ReportedStatus::parse(word).unwrap()),
                place,
                "{word}"
            );
        }
        assert_eq!(words().count(), STATUSES);
        for (place, effect) in Effect::ALL.into_iter().enumerate() {
            assert_eq!(effect as usize, place);
        }
    }
}
