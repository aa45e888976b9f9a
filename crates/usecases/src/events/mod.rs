//! Reading the event log: pages and streams of events, named cursors, lag, and the cache of the
//! log's newest part that all live readers of a process share.

pub mod cloud_event;
pub mod cursors;
pub mod lag;
pub mod read;
pub mod tail_cache;
