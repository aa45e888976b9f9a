//! What is kept in local files, beside the store and for the time it is away:
//! the journal of reports that the store has not taken yet, and a snapshot of
//! the channels, so that callers can be proven without the store.
//!
//! It knows nothing of stores and of what becomes of the reports. Start reading
//! at [`journal`]; the format of its files stands in `journal/record.rs`.

pub mod channel_snapshot;
mod files;
pub mod journal;

pub use channel_snapshot::ChannelSnapshotFile;
pub use journal::FileJournal;
