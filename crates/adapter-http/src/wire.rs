//! What the API writes, for others that write the same, like the command line.

pub use crate::api::channels::{ChannelCreatedView, ChannelInfo, ChannelView};
pub use crate::api::credentials::{CredentialView, IssuedView};
pub use crate::api::erasures::ErasureView;
pub use crate::api::messages::view::{
    CountersView, ErrorView, MessageDetailView, MessageView, ReportView, StepView,
};
pub use crate::api::rejections::RejectionView;
pub use crate::api::subscriptions::view::{
    AttemptView, DeliveryView, IssuedSubscriptionView, LagView, SubscriptionDetailView,
    SubscriptionView, TestView,
};
