//! Values and rules of delivery reports.
//!
//! A contact centre sends messages through an *integrator*, which calls back with *reports*, one
//! for each step of a message's life. This crate defines these values and how the state of a
//! message follows from its reports, whatever their order.
//!
//! No I/O, no clock and no randomness: every rule is a function of values and tested as one.
//!
//! Start reading at [`status`] (the order of statuses) and [`message`] (how reports join into a
//! state).

pub mod access;
pub mod address;
pub mod alias;
pub mod channel;
pub mod credential;
pub mod crypto;
pub mod delivery;
pub mod erasure;
pub mod error_code;
pub mod event;
pub mod forwarding;
pub mod integrator;
pub mod log;
pub mod masking;
pub mod message;
pub mod page;
pub mod recipient;
pub mod reconciliation;
pub mod rejection;
pub mod report;
pub mod retention_days;
pub mod saved_view;
pub mod seen_reports;
pub mod statistics;
pub mod status;
pub mod status_set;
pub mod subscription;
mod text;
pub mod timestamp;
pub mod trouble;
pub mod webhook;

pub use address::Address;
pub use alias::Alias;
pub use channel::{Channel, ChannelCalls, ChannelId, ChannelName, PublicUrl};
pub use credential::{Credential, CredentialId, Password, WebhookUser};
pub use delivery::{Delivery, DeliveryKey, DeliveryState};
pub use erasure::{Erasure, ErasureId};
pub use error_code::{ErrorCode, ErrorExplanation, ErrorText};
pub use event::{EventFilter, EventId, EventType, MessageEvent};
pub use forwarding::{ForwardedRequest, ForwardedRequestKey};
pub use integrator::IntegratorName;
pub use log::{CursorName, LogEntry, LogPosition};
pub use masking::mask_numbers;
pub use message::{Effect, Message, MessageKey, MessageSid, MessageState};
pub use recipient::Recipient;
pub use rejection::{Rejection, RejectionReason};
pub use report::{LoggedReport, Provenance, Report, ReportFields};
pub use retention_days::RetentionDays;
pub use saved_view::{ConsolePath, SavedView, SavedViewId, SavedViewName};
pub use status::{DeliveryStatus, InboundStatus, ReportedStatus};
pub use status_set::StatusSet;
pub use subscription::{Subscription, SubscriptionId};
pub use timestamp::Timestamp;
