//! Channels: managing and testing them, the directory in memory that authenticates callers, and
//! counts and warnings per channel.

pub mod allow_sender;
pub mod calls;
pub mod certificates;
pub mod channel_test;
pub mod directory;
pub mod manage;
pub mod test_steps;
pub(crate) mod warnings;
