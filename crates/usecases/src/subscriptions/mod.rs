//! Subscriptions: managing them, their signing secrets, and their deliveries.

mod deliveries;
mod manage;
mod operator_events;
mod secrets;
pub mod statistics;

pub use deliveries::ReplayFrom;
pub use manage::{
    ChangedSubscription, ManageSubscriptions, NewSubscription, Rates, Resumed, SubscriptionChanges,
    SubscriptionDependencies, SubscriptionError,
};
pub use operator_events::OperatorEventProgress;
pub use secrets::DEFAULT_OVERLAP;
