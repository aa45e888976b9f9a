//! Rejected reports: the page and its CSV.

mod csv;
mod show;

pub(crate) use csv::export;
pub(crate) use show::{add_sender, show};
