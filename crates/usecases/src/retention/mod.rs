//! Retention: removing what is older than its retention period, and holding back when the clock
//! cannot be trusted.

pub mod hold;
pub mod prune;
