//! All store ports in one.

use crate::{
    AccessStore, AuditLog, ChannelStore, DeliveryQueue, DeliveryStore, EventLog,
    ForwardedRequestStore, Maintenance, OperatorEvents, ReconciliationStore, RejectionStore,
    ReportStore, SavedViewStore, Statistics, SubscriptionStore, TroubleStore,
};

/// A database: implements every store port.
///
/// The composition root hands out one `Arc<dyn Store>`, which coerces to the `Arc<dyn Port>` that a
/// use case asks for.
pub trait Store:
    ReportStore
    + EventLog
    + ChannelStore
    + RejectionStore
    + ForwardedRequestStore
    + ReconciliationStore
    + SubscriptionStore
    + DeliveryQueue
    + DeliveryStore
    + Maintenance
    + Statistics
    + AccessStore
    + AuditLog
    + SavedViewStore
    + TroubleStore
    + OperatorEvents
{
}

impl<S> Store for S where
    S: ReportStore
        + EventLog
        + ChannelStore
        + RejectionStore
        + ForwardedRequestStore
        + ReconciliationStore
        + SubscriptionStore
        + DeliveryQueue
        + DeliveryStore
        + Maintenance
        + Statistics
        + AccessStore
        + AuditLog
        + SavedViewStore
        + TroubleStore
        + OperatorEvents
{
}
