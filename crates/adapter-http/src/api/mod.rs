//! The operator's API: channels, credentials, messages, events, subscriptions, erasures,
//! rejections, troubles, tokens and the audit log.

pub mod audit;
pub mod auth;
pub(crate) mod authorize;
pub(crate) mod body_timeout;
pub mod channels;
pub mod credentials;
pub mod erasures;
pub mod error;
pub mod events;
pub(crate) mod json_body;
pub mod lag;
pub mod messages;
pub mod openapi;
pub mod operator;
pub(crate) mod path;
pub mod position;
pub mod query;
pub mod rejections;
pub(crate) mod reveal;
pub(crate) mod route_access;
pub mod statistics;
pub mod statistics_csv;
pub mod subscriptions;
pub mod tokens;
pub mod troubles;
