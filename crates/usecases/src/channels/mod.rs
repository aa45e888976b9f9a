//! Channels: managing them, the directory in memory that authenticates callers, and counts and
//! warnings per channel.

pub mod calls;
pub mod directory;
pub mod manage;
pub(crate) mod warnings;
