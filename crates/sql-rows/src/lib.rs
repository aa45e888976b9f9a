//! What the stores on PostgreSQL and SQLite share: rows and their conversion into domain
//! values, errors, the logic of scans, and parts of the statements that list messages. The other
//! statements are the adapters' own.
//!
//! Both engines use the same tables and columns. Where their column types differ, rows are
//! generic: `T` is a time ([`StoredTime`]), `L` a list ([`StoredList`]).

pub mod access;
pub mod aliases;
pub mod attempts;
pub mod callback_alerts;
pub mod channels;
pub mod deliveries;
pub mod erasures;
pub mod error;
pub mod forwarding;
pub mod lists;
pub mod log;
pub mod messages;
pub mod reconciliations;
pub mod rejections;
pub mod retention;
pub mod saved_views;
pub mod schema;
pub mod statistics;
pub mod subscriptions;
pub mod troubles;
pub mod values;

pub use error::corrupt;
pub use values::{StoredList, StoredTime, key, optional_time, time};
