//! How a store can fail.

use std::error::Error;

/// What went wrong underneath; `Display` of [`StoreError`] does not repeat it.
pub type Source = Box<dyn Error + Send + Sync>;

/// How a store can fail, by what its caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store is away, overloaded or too slow. Nothing is known about
    /// whether the step was done; it may be done again.
    #[error("the store is unavailable")]
    Unavailable(#[source] Source),
    /// Another session holds a lock on some of the rows for longer than the
    /// step may wait. Nothing of the step was done; it may be done again.
    #[error("another session holds a lock on the rows")]
    Locked(#[source] Source),
    /// The database is set up in a way that this program does not support: its
    /// operator has to change that.
    #[error("the database cannot be used as it is set up")]
    Unsupported(#[source] Source),
    /// The store will never take these values. Nothing of the step was done.
    #[error("the store refuses the {what}")]
    Rejected {
        /// What it refuses.
        what: &'static str,
        /// Its own words.
        #[source]
        source: Source,
    },
    /// What the store gave back breaks its own rules: somebody must look.
    #[error("column {column} of table {table} holds what was never written")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// What is wrong with the value.
        #[source]
        source: Source,
    },
}

/// Returns `error` and its sources, separated by `: `, for a log line or a message.
#[must_use]
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
