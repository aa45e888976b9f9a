//! What the server's errors mean to the caller.

use ports::{StoreError, error::Source};
use sqlx::error::DatabaseError;

use crate::failover;
use crate::sqlstate::{Fault, fault};

/// Sorts an error of a statement on `table` by what its caller can do about it.
pub(crate) fn store_error(table: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |error| match &error {
        sqlx::Error::Database(refusal) => match fault_of(refusal.as_ref()) {
            Fault::Values => StoreError::Rejected {
                what: refused_value(refusal.constraint()).unwrap_or(table),
                source: cause(error),
            },
            Fault::Connection => {
                failover::declare();
                StoreError::Unavailable(cause(error))
            }
            Fault::Server | Fault::Lock | Fault::Race => StoreError::Unavailable(cause(error)),
        },
        sqlx::Error::Encode(_) | sqlx::Error::InvalidArgument(_) => StoreError::Rejected {
            what: table,
            source: cause(error),
        },
        // Its text names the column, which is no constant.
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => corrupt(table, "?")(error),
        _ => StoreError::Unavailable(cause(error)),
    }
}

/// Returns what the server or the connection said, once: sqlx repeats it in the text of each
/// error of a chain, and adds the line of PostgreSQL's source that raised it.
pub(crate) fn cause(error: sqlx::Error) -> Source {
    match error {
        sqlx::Error::Io(error) => error.into(),
        other => message(&other).into(),
    }
}

/// The same in words.
pub(crate) fn message(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(refusal) => {
            let code = refusal.code().unwrap_or_default();
            format!("{} (SQLSTATE {code})", refusal.message())
        }
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::PoolTimedOut => "no connection to the server was free in time".to_owned(),
        other => other.to_string(),
    }
}

/// A value of a row that is none of the domain's.
pub(crate) fn corrupt<E: Into<Source>>(
    table: &'static str,
    column: &'static str,
) -> impl FnOnce(E) -> StoreError {
    move |source| StoreError::Corrupt {
        table,
        column,
        source: source.into(),
    }
}

/// Whether the statement lost a race and will do when it is sent again.
pub(crate) fn lost_a_race(error: &sqlx::Error) -> bool {
    is_fault(error, Fault::Race)
}

/// Whether another session held a lock for longer than the statement may wait.
pub(crate) fn is_locked(error: &sqlx::Error) -> bool {
    is_fault(error, Fault::Lock)
}

/// Whether the tables are those of an earlier release, or not there at all.
pub(crate) fn is_unmigrated(error: &sqlx::Error) -> bool {
    const UNDEFINED_TABLE: &str = "42P01";
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.as_deref() == Some(UNDEFINED_TABLE)
}

fn is_fault(error: &sqlx::Error, wanted: Fault) -> bool {
    error
        .as_database_error()
        .is_some_and(|refusal| fault_of(refusal) == wanted)
}

fn fault_of(refusal: &dyn DatabaseError) -> Fault {
    fault(
        refusal.code().as_deref().unwrap_or_default(),
        refusal.constraint(),
    )
}

fn refused_value(constraint: Option<&str>) -> Option<&'static str> {
    match constraint? {
        "reports_fields_size_check" => Some("fields"),
        "channel_credentials_id_pkey" => Some("credential id"),
        "channel_credentials_channel_id_fkey" => Some("channel id"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_that_is_away_is_unavailable() {
        let away = sqlx::Error::Io(std::io::ErrorKind::ConnectionRefused.into());
        assert!(matches!(
            store_error("reports")(away),
            StoreError::Unavailable(_)
        ));
        let busy = sqlx::Error::PoolTimedOut;
        assert!(matches!(
            store_error("reports")(busy),
            StoreError::Unavailable(_)
        ));
    }
}
