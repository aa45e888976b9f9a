//! Gauge of requests that wait to be forwarded. Every process shows the same.

use domain::ChannelId;
use domain::forwarding::WaitingRequests;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Adds the gauge of waiting requests by channel.
pub(super) fn register(registry: &mut Registry, waiting: &[(ChannelId, WaitingRequests)]) {
    let family = Family::<[(&'static str, String); 1], Gauge>::default();
    for (channel, waiting) in waiting {
        let labels = [("channel", channel.to_string())];
        let requests = i64::try_from(waiting.requests).unwrap_or(i64::MAX);
        family.get_or_create(&labels).set(requests);
    }
    let help = "Requests of a channel that wait to be forwarded";
    registry.register("receiptd_forwarding_waiting_requests", help, family);
}
