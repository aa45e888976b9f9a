//! Durable reports by integrator, status and effect.

use std::sync::OnceLock;

use domain::{DeliveryStatus, Effect, InboundStatus, IntegratorName, ReportedStatus};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use usecases::Integrators;

const EFFECTS: usize = Effect::ALL.len();

/// The eleven statuses, the two words of incoming messages, and one label for all other words:
/// callers must not be able to add time series.
const STATUSES: usize = DeliveryStatus::ALL.len() + 3;

type Labels = [(&'static str, String); 3];

/// The counters of durable reports.
pub(super) struct ReportCounters {
    pub(super) family: Family<Labels, Counter>,
    counters: Vec<IntegratorCounters>,
}

struct IntegratorCounters {
    integrator: IntegratorName,
    /// Set from the beginning for the pairs that occur, so that they are shown as zero.
    counters: [[OnceLock<Counter>; EFFECTS]; STATUSES],
}

impl ReportCounters {
    pub(super) fn new(integrators: &Integrators) -> Self {
        let counters = integrators.iter().map(|each| IntegratorCounters {
            integrator: each.name().clone(),
            counters: Default::default(),
        });
        let this = Self {
            family: Family::default(),
            counters: counters.collect(),
        };
        for each in &this.counters {
            for (status, word) in words().enumerate() {
                for effect in Effect::ALL
                    .into_iter()
                    .filter(|effect| occurs(word, *effect))
                {
                    this.counter(each, status, effect);
                }
            }
        }
        this
    }

    pub(super) fn inc(&self, integrator: &IntegratorName, status: &ReportedStatus, effect: Effect) {
        let mut counters = self.counters.iter();
        let of_integrator = counters.find(|each| each.integrator == *integrator);
        let counter = of_integrator.and_then(|each| self.counter(each, index_of(status), effect));
        if let Some(counter) = counter {
            counter.inc();
        }
    }

    fn counter<'a>(
        &self,
        of_integrator: &'a IntegratorCounters,
        status: usize,
        effect: Effect,
    ) -> Option<&'a Counter> {
        let counter = of_integrator.counters.get(status)?.get(effect as usize)?;
        Some(counter.get_or_init(|| {
            self.family.get_or_create_owned(&[
                ("integrator", of_integrator.integrator.to_string()),
                ("status", words().nth(status).unwrap_or_default().to_owned()),
                ("effect", effect.as_str().to_owned()),
            ])
        }))
    }
}

fn index_of(status: &ReportedStatus) -> usize {
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

/// Returns whether a report of this status can have this effect.
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
    fn every_word_is_counted_under_its_own_label() {
        for (index, word) in words().enumerate() {
            let status = ReportedStatus::parse(word).unwrap();
            assert_eq!(index_of(&status), index, "{word}");
        }
        assert_eq!(words().count(), STATUSES);
        for (index, effect) in Effect::ALL.into_iter().enumerate() {
            assert_eq!(effect as usize, index);
        }
    }
}
