//! Channels: how they are managed, the snapshot in memory that authenticates callers, and what is
//! counted and warned about per channel.

pub mod calls;
pub mod directory;
pub mod manage;
pub(crate) mod warnings;
