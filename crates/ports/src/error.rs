//! How a store can fail.

use std::error::Error;

/// The underlying error; `Display` of [`StoreError`] does not repeat it.
pub type Source = Box<dyn Error + Send + Sync>;

/// How a store can fail, by what its caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store is down, overloaded or too slow. The step may or may not have been done;
    /// it may be repeated.
    #[error("the store is unavailable")]
    Unavailable(#[source] Source),
    /// Another session holds a lock on some of the rows for longer than the step may wait.
    /// Nothing of the step was done; it may be repeated.
    #[error("another session holds a lock on the rows")]
    Locked(#[source] Source),
    /// The database is configured in a way that this program does not support; its operator
    /// has to change that.
    #[error("the database cannot be used as it is set up")]
    Unsupported(#[source] Source),
    /// The store will never accept these values. Nothing of the step was done.
    #[error("the store refuses the {what}")]
    Rejected {
        /// The kind of value that it refuses.
        what: &'static str,
        /// The store's own message.
        #[source]
        source: Source,
    },
    /// Stored data breaks the store's own rules. A person must look at it.
    #[error("stored data is corrupt: column {column} of table {table}")]
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
