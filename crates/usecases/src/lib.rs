//! The use cases: one struct for each.
//!
//! A use case takes domain values, calls ports and returns domain values. It knows neither HTTP
//! nor SQL. The only tasks that this crate spawns are the group-commit writers of
//! [`ingest::group_commit`], the webhook dispatchers of [`delivery`], the attempts of both
//! [`delivery`] and [`forwarding`], and the runs of [`reconciliation`].
//!
//! Start reading at [`ingest::receive`]: the path of a report from an authenticated caller to a
//! durable row.

pub mod access;
pub mod channels;
pub mod delivery;
pub mod erasure;
pub mod events;
pub mod forwarding;
pub mod health;
pub mod ingest;
pub mod integrators;
mod log_limit;
pub mod messages;
pub mod reconciliation;
pub mod rejections;
pub mod retention;
pub mod runtime;
pub mod saved_views;
pub mod spreadsheet;
pub mod statistics;
pub mod subscriptions;
pub mod trouble;

pub use access::{
    AccessControl, AuthenticateOperator, ListAudit, ManageTokens, RecordAudit, Sessions,
};
pub use channels::allow_sender::AllowSender;
pub use channels::certificates::CheckCertificates;
pub use channels::channel_test::TestChannel;
pub use channels::directory::ChannelDirectory;
pub use channels::manage::ManageChannels;
pub use delivery::DeliveryWorker;
pub use delivery::throttle::Throttle;
pub use erasure::{EraseRecipient, ListErasures};
pub use events::cloud_event::CloudEvent;
pub use events::cursors::ManageCursors;
pub use events::lag::Lag;
pub use events::read::ReadEvents;
pub use events::tail_cache::LogTailCache;
pub use forwarding::{ForwardingFigures, ForwardingOutbox, ForwardingWorker};
pub use health::CheckHealth;
pub use ingest::authenticate::{AuthenticateCaller, AuthenticatedCaller, Authentication};
pub use ingest::circuit_breaker::StoreCircuitBreaker;
pub use ingest::group_commit::GroupCommitWriters;
pub use ingest::journal_replay::ReplayJournal;
pub use ingest::queue::IngestQueue;
pub use ingest::receive::{ReceiveError, ReceiveReport};
pub use integrators::Integrators;
pub use messages::list::ListMessages;
pub use messages::recipient_link::RecipientLinks;
pub use messages::show::ShowMessage;
pub use reconciliation::{ManageReconciliation, Reconcile};
pub use rejections::ListRejections;
pub use retention::hold::RetentionHolds;
pub use retention::prune::Prune;
pub use runtime::RuntimeHandle;
pub use saved_views::SavedViews;
pub use statistics::{ReadStatistics, StatisticsReader};
pub use subscriptions::ManageSubscriptions;
pub use subscriptions::statistics::SubscriptionStatistics;
pub use trouble::{EvaluateTroubles, ManageTroubles, TroubleFigures};
