//! Errors of statements, by what the caller can do about them.

use ports::StoreError;
use ports::error::Source;
use sqlx::migrate::MigrateError;

use crate::schema::MIGRATIONS;

/// Converts an error of a statement on `table`. `refused` names the value that the engine will
/// never accept, if that is the cause; `cause` is the error without what sqlx repeats in it.
pub fn store_error(
    table: &'static str,
    refused: Option<&'static str>,
    error: sqlx::Error,
    cause: impl FnOnce(sqlx::Error) -> Source,
) -> StoreError {
    let what = match &error {
        sqlx::Error::Encode(_) | sqlx::Error::InvalidArgument(_) => Some(table),
        _ => refused,
    };
    match error {
        // The message names the column; the field is for constants.
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            corrupt(table, "?")(error.to_string())
        }
        error => match what {
            Some(what) => StoreError::Rejected {
                what,
                source: cause(error),
            },
            None => StoreError::Unavailable(cause(error)),
        },
    }
}

/// Returns what the engine said once: sqlx repeats it in the text of each error of a chain.
/// `code_name` is what the engine calls its codes.
#[must_use]
pub fn message(error: &sqlx::Error, code_name: &str) -> String {
    match error {
        sqlx::Error::Database(refusal) => {
            let code = refusal.code().unwrap_or_default();
            format!("{} ({code_name} {code})", refusal.message())
        }
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::Configuration(error) => error.to_string(),
        sqlx::Error::PoolTimedOut => "no connection to the database was free in time".to_owned(),
        other => other.to_string(),
    }
}

/// Returns an error for a stored value that no version of this program writes.
pub fn corrupt<E: Into<Source>>(
    table: &'static str,
    column: &'static str,
) -> impl FnOnce(E) -> StoreError {
    move |source| StoreError::Corrupt {
        table,
        column,
        source: source.into(),
    }
}

/// Converts an error of applying migrations; `store_error` converts that of a statement.
pub fn migration_error(
    error: MigrateError,
    store_error: impl FnOnce(sqlx::Error) -> StoreError,
) -> StoreError {
    match error {
        MigrateError::VersionMismatch(_) => corrupt(MIGRATIONS, "checksum")(error),
        MigrateError::Dirty(_) => corrupt(MIGRATIONS, "success")(error),
        MigrateError::Execute(error) => store_error(error),
        other => StoreError::Unavailable(other.to_string().into()),
    }
}
