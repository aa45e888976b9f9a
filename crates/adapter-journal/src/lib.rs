//! Local files that carry the receiver through a database outage: the journal of reports that
//! the store has not recorded yet, and a snapshot of the channels, which authenticates callers
//! without the store.
//!
//! Start reading at [`journal`]; `journal/record.rs` defines the file format.

pub mod channel_snapshot;
mod files;
pub mod journal;

pub use channel_snapshot::ChannelSnapshotFile;
pub use journal::FileJournal;
