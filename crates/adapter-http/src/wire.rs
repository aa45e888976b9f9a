//! What the API writes, for others that write the same, like the command line.

use domain::LogPosition;

use crate::api::events::position_of;
use crate::api::query::parameter_cursor;

pub use crate::api::channels::{ChannelCreatedView, ChannelInfo, ChannelView};
pub use crate::api::credentials::{CredentialView, IssuedView};
pub use crate::api::erasures::ErasureView;
pub use crate::api::messages::view::{
    CountersView, ErrorView, MessageDetailView, MessageView, ReportView, StepView,
};
pub use crate::api::rejections::RejectionView;
pub use crate::api::subscriptions::view::{
    AttemptView, DeliveryView, IssuedSubscriptionView, LagView, RateView, RatesView,
    SubscriptionDetailView, SubscriptionView, TestView,
};

/// Reads a position as the API shows it; `None` if it is none.
#[must_use]
pub fn position(text: &str) -> Option<LogPosition> {
    parameter_cursor("position", text, position_of).ok()
}
