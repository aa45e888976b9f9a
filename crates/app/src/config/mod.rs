//! The settings: environment variables and flags, checked and explained. One struct per section.
//!
//! This is the only module that reads environment variables. An error names the variable, its
//! value unless it is a secret, and what would be valid.

mod database;
mod delivery;
mod ingest;
mod listeners;
mod logs;
mod number;
mod reconciliation;
mod retention;
mod secrets;
mod settings;
mod statistics;
mod storage;
mod trouble;
mod values;
mod variables;

pub use database::DatabaseUrl;
pub use listeners::reachable;
pub use logs::LogFormat;
pub use number::whole;
pub use secrets::AdminToken;
pub use settings::{NOT_GLOBAL, ServerSettings, Settings};
pub use storage::DEFAULT_DATA_DIR;
pub use variables::{SettingList, columns, help, unknown_variables, variable_of};
