//! The wire structs of the API, for the command line, which prints the same JSON.

use std::str::FromStr;

use domain::LogPosition;
use domain::page::MessageCursor;

use crate::api::messages::cursor_from_text;
use crate::api::position::position_from_text;
use crate::api::query::{from_cursor, parameter_cursor};

pub use crate::api::audit::{AuditEntryView, AuditList};
pub use crate::api::channels::reconciliation::ReconciliationView;
pub use crate::api::channels::test::{ChannelTestView, TestStepView};
pub use crate::api::channels::{ChannelCreatedView, ChannelInfo, ChannelList, ChannelView};
pub use crate::api::credentials::{CredentialView, IssuedView};
pub use crate::api::erasures::{ErasureList, ErasureView};
pub use crate::api::events::cursors::{CursorDetailView, CursorList, CursorView};
pub use crate::api::lag::LagView;
pub use crate::api::messages::MessageList;
pub use crate::api::messages::view::{
    CountersView, ErrorView, MessageDetailView, MessageView, ReportView, StepView,
};
pub use crate::api::position::position_text;
pub use crate::api::rejections::{RejectionList, RejectionView};
pub use crate::api::statistics::{CountsView, StatisticsView};
pub use crate::api::statistics_csv::StatisticsLines;
pub use crate::api::subscriptions::deliveries::{DeliveryList, RetryView};
pub use crate::api::subscriptions::view::{
    AttemptView, DeliveryView, IssuedSubscriptionView, OperatorEventsView, RateView, RatesView,
    SubscriptionDetailView, SubscriptionView, TestView,
};
pub use crate::api::subscriptions::{ReplayView, SubscriptionList};
pub use crate::api::tokens::{IssuedTokenView, TokenList, TokenView};
pub use crate::api::troubles::settings::TroubleSettingsView;
pub use crate::api::troubles::view::{OperatorEventList, TroubleList, TroubleView};

/// Reads a position in the form of the API; `None` if `text` is not one.
#[must_use]
pub fn position(text: &str) -> Option<LogPosition> {
    parameter_cursor("position", text, position_from_text).ok()
}

/// Reads the `next` of a page; `None` if `text` is not one.
#[must_use]
pub fn next<T: FromStr>(text: &str) -> Option<T> {
    from_cursor(text, |text| text.parse().ok()).ok()
}

/// Reads the `next` of a page of messages; `None` if `text` is not one.
#[must_use]
pub fn next_message(text: &str) -> Option<MessageCursor> {
    from_cursor(text, cursor_from_text).ok()
}
