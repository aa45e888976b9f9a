//! What the server's errors mean to whoever asked.

use ports::{StoreError, error::Source};
use sqlx::error::DatabaseError;

/// Sorts an error of a statement on `table` by what its caller can do about it.
pub(crate) fn store_error(table: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |error| match &error {
        sqlx::Error::Database(refusal) => {
            if is_refusal(refusal.code().as_deref()) {
                let what = refused_value(refusal.constraint()).unwrap_or(table);
                StoreError::Rejected {
                    what,
                    source: error.into(),
                }
            } else {
                StoreError::Unavailable(error.into())
            }
        }
        sqlx::Error::Encode(_) | sqlx::Error::InvalidArgument(_) => StoreError::Rejected {
            what: table,
            source: error.into(),
        },
        // Its text names the column, which is no constant.
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => corrupt(table, "?")(error),
        _ => StoreError::Unavailable(error.into()),
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
    const SERIALIZATION_FAILURE: &str = "40001";
    const DEADLOCK_DETECTED: &str = "40P01";
    let code = error.as_database_error().and_then(DatabaseError::code);
    matches!(
        code.as_deref(),
        Some(SERIALIZATION_FAILURE | DEADLOCK_DETECTED)
    )
}

/// Whether the tables are those of an earlier release, or not there at all.
pub(crate) fn is_unmigrated(error: &sqlx::Error) -> bool {
    const UNDEFINED_TABLE: &str = "42P01";
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.as_deref() == Some(UNDEFINED_TABLE)
}

/// Whether somebody else held a lock for longer than the statement may wait.
pub(crate) fn is_locked(error: &sqlx::Error) -> bool {
    const LOCK_NOT_AVAILABLE: &str = "55P03";
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.as_deref() == Some(LOCK_NOT_AVAILABLE)
}

/// Whether the server will refuse the same values for ever: a value it cannot keep (class
/// 22), a broken constraint (23), more than it can handle at once (54). Everything else has
/// to do with the server and passes: connections (08), locks (55), resources (53), an
/// operator (57), a schema that is yet to be migrated (42).
fn is_refusal(code: Option<&str>) -> bool {
    matches!(
        code.and_then(|code| code.get(..2)),
        Some("22" | "23" | "54")
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
    fn what_will_never_fit_is_told_from_what_passes() {
        let refused = ["22021", "22P02", "23514", "23505", "54000"];
        let passing = [
            "08006", "25006", "40P01", "42P01", "53100", "55P03", "57014", "57P01",
        ];
        assert!(refused.iter().all(|code| is_refusal(Some(code))));
        assert!(passing.iter().all(|code| !is_refusal(Some(code))));
        assert!(!is_refusal(None));
    }

    #[test]
    fn a_server_that_is_away_is_unavailable() {
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
