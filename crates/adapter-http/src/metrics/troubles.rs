//! Gauge of open troubles. Every process shows the same.

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use usecases::trouble::OpenTroubles;

/// Adds the gauge of open troubles by kind.
pub(super) fn register(registry: &mut Registry, open: &OpenTroubles) {
    let family = Family::<[(&'static str, String); 1], Gauge>::default();
    for (kind, count) in open {
        let labels = [("kind", kind.as_str().to_owned())];
        family.get_or_create(&labels).set(i64::from(*count));
    }
    let help = "Troubles that are open and not snoozed, by kind";
    registry.register("receiptd_open_troubles", help, family);
}
