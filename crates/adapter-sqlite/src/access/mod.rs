//! Operators' tokens, their sessions, and the audit log.

mod audit;
mod sessions;
mod store;
mod tokens;
