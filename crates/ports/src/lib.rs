//! What the core asks of the world: one small trait for each need.
//!
//! A method is named for a whole step and is atomic; nothing here speaks of
//! transactions, connections or HTTP. What a method promises on repetition, on
//! absence and in a race stands in its documentation, and each such sentence
//! has a test in `testkit::contract`, which every implementation passes.
//! Absence is `Ok(None)`, never an error.
//!
//! Start reading at [`reports`], the store of reports and messages, and at
//! [`integrator`], the seam between the companies that report.

pub mod channels;
pub mod clock;
pub mod erasures;
pub mod error;
pub mod events;
pub mod ids;
pub mod integrator;
pub mod journal;
pub mod log;
pub mod observer;
pub mod rejections;
pub mod reports;
pub mod retention;
pub mod subscriptions;

pub use channels::{ChannelCredentialRepository, ChannelSnapshot, ChannelWithCredentials};
pub use clock::Clock;
pub use erasures::Erasures;
pub use error::StoreError;
pub use events::EventSink;
pub use ids::Ids;
pub use integrator::{Headers, Integrator};
pub use journal::{JournalEntry, ReportJournal};
pub use log::{LogCursors, ReportLog};
pub use observer::Observer;
pub use rejections::RejectionLog;
pub use reports::ReportStore;
pub use retention::Retention;
pub use subscriptions::{
    AttemptLog, DeliveryLog, DeliveryQueue, DeliveryRetention, SubscriptionRepository,
};
