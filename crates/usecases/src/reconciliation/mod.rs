//! Reconciliation: compares messages with the integrator's own records, and records the reports
//! that never arrived.
//!
//! Twilio gives up on a report after 15 seconds. [`Reconcile`] finds messages that have
//! not reached a final status, asks the integrator for them at a bounded rate, and records what it
//! learns as a report, through the same store as any other. A report that arrived meanwhile is the
//! same report: recording both is harmless. Events, state and statistics follow as always.

mod alert_schedule;
mod alerted;
mod alerts;
mod compare;
mod due;
mod leased_runs;
mod listing;
mod manage;
mod requests;
mod run;
mod schedule;
mod session;

pub use alert_schedule::LookUpAlerts;
pub use alerted::AlertedMessages;
pub use leased_runs::ChannelRun;
pub use manage::{AccountError, ManageReconciliation, NewAccount};
pub use run::{
    Reconcile, ReconcileDependencies, ReconcileError, ReconcileRun, ReconcileScope,
    ReconcileSettings, Reconciled,
};
pub use schedule::ReconcileChannels;
