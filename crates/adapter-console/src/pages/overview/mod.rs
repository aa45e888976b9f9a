//! The overview: what needs attention, and the numbers of the chosen period.

mod attention;
mod codes;
mod compared;
mod csv;
mod durations;
mod funnel;
mod range;
mod reports;
mod show;

pub(crate) use csv::{export, export_codes};
pub(crate) use show::show;
