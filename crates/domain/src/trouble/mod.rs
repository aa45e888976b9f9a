//! Trouble: conditions that need an operator, found by rules.
//!
//! Each [rule](rules) is a function from evidence to a [`Finding`]. A [`Trouble`] follows the
//! findings about one subject: two windows in a row must confirm that it is there, and two that it
//! is over.

mod kind;
mod operator_event;
mod quiet_hours;
pub mod rules;
mod settings;
mod snooze;
mod state;
mod subject;

pub use kind::{InvalidTroubleKind, TroubleKind};
pub use operator_event::{OperatorEvent, OperatorEventId, OperatorEventType, StoredOperatorEvent};
pub use quiet_hours::{InvalidQuietHours, QuietHours};
pub use settings::{InvalidThreshold, Thresholds, TroubleSettings};
pub use snooze::{InvalidSnooze, Snooze, SnoozeReason};
pub use state::{
    Finding, Notice, Notices, REMINDER_INTERVAL_MICROS, Trouble, TroubleId, TroubleState, Window,
};
pub use subject::{InvalidTroubleSubject, TroubleKey, TroubleSubject};

#[cfg(test)]
mod tests;
