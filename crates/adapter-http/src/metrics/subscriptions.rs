//! How subscriptions are getting on, as gauges. Every process shows the same.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use usecases::statistics::{SubscriptionCondition, SubscriptionFigures};

/// Writes the gauges of all subscriptions.
pub(super) fn encode(
    encoder: &mut DescriptorEncoder<'_>,
    survey: &[SubscriptionFigures],
) -> fmt::Result {
    let ids: Vec<_> = survey.iter().map(|each| each.id.to_string()).collect();
    let mut shown = encoder.encode_descriptor(
        "receiptd_subscription_state",
        "1 for the state that a subscription is in, 0 for the others",
        None,
        MetricType::Gauge,
    )?;
    for (each, id) in survey.iter().zip(&ids) {
        for condition in SubscriptionCondition::ALL {
            let labels = [("subscription", id.as_str()), ("state", condition.as_str())];
            let is_in = i64::from(condition == each.condition);
            shown.encode_family(&labels)?.encode_gauge(&is_in)?;
        }
    }
    for (name, help, value) in GAUGES {
        let mut shown = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (each, id) in survey.iter().zip(&ids) {
            let value = i64::try_from(value(each)).unwrap_or(i64::MAX);
            shown
                .encode_family(&[("subscription", id.as_str())])?
                .encode_gauge(&value)?;
        }
    }
    Ok(())
}

/// The name of a gauge, what it is, and where it stands.
type Gauge = (&'static str, &'static str, fn(&SubscriptionFigures) -> u64);

const GAUGES: [Gauge; 4] = [
    (
        "receiptd_subscription_open_deliveries",
        "Deliveries of a subscription that are still to be made",
        |each| each.open,
    ),
    (
        "receiptd_subscription_dead_deliveries",
        "Deliveries of a subscription that were given up: dead letters",
        |each| each.dead,
    ),
    (
        "receiptd_subscription_lag_reports",
        "Reports of the log that a subscription has not dealt with, 10,000 at most",
        |each| each.lag_reports,
    ),
    (
        "receiptd_subscription_lag_seconds",
        "For how long the oldest of these has waited",
        |each| each.lag_seconds,
    ),
];
