//! Trouble: evaluating the rules, telling operators, and what operators do about it.
//!
//! One process at a time holds the lease of the evaluation. Once in an interval it gathers
//! evidence, applies the rules of [`domain::trouble::rules`] to it, and saves which troubles opened
//! or resolved, together with their events.

mod all_settings;
mod certificates;
mod challenges;
mod counted;
mod deliver_events;
mod evaluate;
mod event_body;
mod figures;
mod findings;
mod forwarding;
mod journal;
mod manage;
mod reconciliation;
mod subscriptions;
mod usual;

pub use certificates::CertificateSource;
pub use deliver_events::{DeliverOperatorEvents, OperatorEventDependencies};
pub use evaluate::{EvaluateTroubles, Evaluated, EvaluationDependencies, lease_time};
pub use event_body::TROUBLE_SCHEMA;
pub use figures::{OpenTroubles, TroubleFigures};
pub use journal::NoteJournalUse;
pub use manage::{AppliedSettings, ManageTroubles, TroubleError};
