//! Conversion of the server's errors.

use ports::{StoreError, error::Source};
use sqlx::error::DatabaseError;

use crate::failover;
use crate::sqlstate::{Fault, fault};

/// Converts an error of a statement on `table`, by what the caller can do about it.
pub(crate) fn store_error(table: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |error| {
        let refusal = error.as_database_error();
        let refused = match refusal.map(fault_of) {
            Some(Fault::Values) => {
                let constraint = refusal.and_then(DatabaseError::constraint);
                Some(refused_value(constraint).unwrap_or(table))
            }
            Some(Fault::Connection) => {
                failover::discard_connections();
                None
            }
            Some(Fault::Server | Fault::Lock | Fault::Race) | None => None,
        };
        sql_rows::error::store_error(table, refused, error, cause)
    }
}

/// Returns what the server or the connection said, without the line of PostgreSQL's source that
/// sqlx adds.
pub(crate) fn cause(error: sqlx::Error) -> Source {
    match error {
        sqlx::Error::Io(error) => error.into(),
        other => message(&other).into(),
    }
}

/// Returns the same as text.
pub(crate) fn message(error: &sqlx::Error) -> String {
    sql_rows::error::message(error, "SQLSTATE")
}

/// Returns whether the statement lost a race to another transaction, so that a retry succeeds.
pub(crate) fn lost_a_race(error: &sqlx::Error) -> bool {
    is_fault(error, Fault::Race)
}

/// Returns whether another session held a lock for longer than the statement may wait.
pub(crate) fn is_locked(error: &sqlx::Error) -> bool {
    is_fault(error, Fault::Lock)
}

/// Returns whether the schema is missing, or that of an earlier release.
pub(crate) fn is_unmigrated(error: &sqlx::Error) -> bool {
    const UNDEFINED_TABLE: &str = "42P01";
    const UNDEFINED_FUNCTION: &str = "42883";
    let code = error.as_database_error().and_then(DatabaseError::code);
    matches!(code.as_deref(), Some(UNDEFINED_TABLE | UNDEFINED_FUNCTION))
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
    fn unreachable_server_is_unavailable() {
        let refused = sqlx::Error::Io(std::io::ErrorKind::ConnectionRefused.into());
        assert!(matches!(
            store_error("reports")(refused),
            StoreError::Unavailable(_)
        ));
        let busy = sqlx::Error::PoolTimedOut;
        assert!(matches!(
            store_error("reports")(busy),
            StoreError::Unavailable(_)
        ));
    }
}
