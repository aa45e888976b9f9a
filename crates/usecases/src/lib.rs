//! What the service does: one struct for each use case.
//!
//! A use case takes domain values, calls ports and gives domain values back.
//! It knows neither HTTP nor SQL, and no task of its own but the writers of the
//! [`intake`].
//!
//! Start reading at [`receive_report`]: the way of a report from a proven
//! caller to a durable row.

pub mod admit_caller;
pub mod channel_calls;
pub mod channel_directory;
mod channel_warnings;
pub mod check_health;
pub mod cloud_event;
pub mod drain_journal;
pub mod erase_recipient;
pub mod intake;
pub mod integrators;
pub mod lag;
pub mod list_erasures;
pub mod list_messages;
pub mod list_rejections;
mod log_limit;
pub mod manage_channels;
pub mod manage_cursors;
pub mod manage_subscriptions;
pub mod pace;
pub mod prune;
pub mod push;
pub mod read_events;
pub mod receive_report;
mod rejection_writer;
pub mod retention_hold;
pub mod shared_log;
pub mod show_message;
pub mod store_gate;
pub mod survey_subscriptions;

pub use admit_caller::{Admission, AdmitCaller, Admitted};
pub use channel_directory::ChannelDirectory;
pub use check_health::CheckHealth;
pub use cloud_event::CloudEvent;
pub use drain_journal::DrainJournal;
pub use erase_recipient::EraseRecipient;
pub use intake::Intake;
pub use integrators::Integrators;
pub use lag::Lag;
pub use list_erasures::ListErasures;
pub use list_messages::ListMessages;
pub use list_rejections::ListRejections;
pub use manage_channels::ManageChannels;
pub use manage_cursors::ManageCursors;
pub use manage_subscriptions::ManageSubscriptions;
pub use pace::Pace;
pub use prune::Prune;
pub use push::PushEvents;
pub use read_events::ReadEvents;
pub use receive_report::{ReceiveError, ReceiveReport};
pub use retention_hold::RetentionHolds;
pub use shared_log::SharedLog;
pub use show_message::ShowMessage;
pub use store_gate::StoreGate;
pub use survey_subscriptions::SurveySubscriptions;
