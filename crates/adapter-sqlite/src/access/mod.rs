//! Operators' tokens, their sessions, the audit log, and saved views of the console.

mod audit;
mod saved_views;
mod sessions;
mod store;
mod tokens;
