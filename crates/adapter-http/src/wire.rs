//! What the API writes, for others that write the same, like the command line.

use std::str::FromStr;

use domain::LogPosition;
use domain::page::MessageCursor;

use crate::api::events::position_of;
use crate::api::messages::from_text;
use crate::api::query::{from_cursor, parameter_cursor};

pub use crate::api::channels::{ChannelCreatedView, ChannelInfo, ChannelList, ChannelView};
pub use crate::api::credentials::{CredentialView, IssuedView};
pub use crate::api::erasures::{ErasureList, ErasureView};
pub use crate::api::events::cursors::{CursorDetailView, CursorList, CursorView};
pub use crate::api::events::position_text;
pub use crate::api::messages::MessageList;
pub use crate::api::messages::view::{
    CountersView, ErrorView, MessageDetailView, MessageView, ReportView, StepView,
};
pub use crate::api::rejections::{RejectionList, RejectionView};
pub use crate::api::subscriptions::deliveries::{DeliveryList, RetryView};
pub use crate::api::subscriptions::view::{
    AttemptView, DeliveryView, IssuedSubscriptionView, LagView, RateView, RatesView,
    SubscriptionDetailView, SubscriptionView, TestView,
};
pub use crate::api::subscriptions::{ReplayView, SubscriptionList};

/// Reads a position as the API shows it; `None` if it is none.
#[must_use]
pub fn position(text: &str) -> Option<LogPosition> {
    parameter_cursor("position", text, position_of).ok()
}

/// Reads the `next` of a page; `None` if it is none.
#[must_use]
pub fn next<T: FromStr>(text: &str) -> Option<T> {
    from_cursor(text, |text| text.parse().ok()).ok()
}

/// Reads the `next` of a page of messages; `None` if it is none.
#[must_use]
pub fn next_message(text: &str) -> Option<MessageCursor> {
    from_cursor(text, from_text).ok()
}
