//! Messages: listing them and showing one with its reports.

pub mod list;
pub mod show;
