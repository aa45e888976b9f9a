//! Gauges of subscriptions. Every process shows the same.

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use usecases::subscriptions::statistics::{SubscriptionCondition, SubscriptionFigures};

/// Adds the gauges of all subscriptions.
pub(super) fn register(registry: &mut Registry, statistics: &[SubscriptionFigures]) {
    let state = Family::<[(&'static str, String); 2], Gauge>::default();
    for each in statistics {
        for condition in SubscriptionCondition::ALL {
            let labels = [
                ("subscription", each.id.to_string()),
                ("state", condition.as_str().to_owned()),
            ];
            let current = i64::from(condition == each.condition);
            state.get_or_create(&labels).set(current);
        }
    }
    let help = "1 for the current state of a subscription, 0 for the others";
    registry.register("receiptd_subscription_state", help, state);
    let mut gauge = |name, help, value: fn(&SubscriptionFigures) -> u64| {
        let family = Family::<[(&'static str, String); 1], Gauge>::default();
        for each in statistics {
            let labels = [("subscription", each.id.to_string())];
            let value = i64::try_from(value(each)).unwrap_or(i64::MAX);
            family.get_or_create(&labels).set(value);
        }
        registry.register(name, help, family);
    };
    gauge(
        "receiptd_subscription_open_deliveries",
        "Pending deliveries of a subscription",
        |each| each.pending,
    );
    gauge(
        "receiptd_subscription_dead_deliveries",
        "Dead letters of a subscription",
        |each| each.dead,
    );
    gauge(
        "receiptd_subscription_lag_reports",
        "Reports of the log that a subscription has not processed, at most 10,000",
        |each| each.lag_reports,
    );
    gauge(
        "receiptd_subscription_lag_seconds",
        "Age of the oldest report that a subscription has not processed",
        |each| each.lag_seconds,
    );
}
