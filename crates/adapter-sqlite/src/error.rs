//! What the engine's errors mean to whoever asked.

use ports::{StoreError, error::Source};

/// Sorts an error of a statement on `table` by what its caller can do about it.
pub(crate) fn store_error(table: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |error| match &error {
        sqlx::Error::Database(refusal) if is_refusal(refusal.code().as_deref()) => {
            StoreError::Rejected {
                what: refused_value(refusal.message()).unwrap_or(table),
                source: error.into(),
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

/// Whether the engine will refuse the same values for ever. Everything else has to do with
/// the file and passes: a lock (5, 6), a read-only or full disk (8, 13), a schema that is
/// yet to be migrated (1).
fn is_refusal(code: Option<&str>) -> bool {
    const TOO_BIG: i32 = 18;
    const CONSTRAINT: i32 = 19;
    const MISMATCH: i32 = 20;
    // The lower byte of an extended code is the primary one.
    let primary = code
        .and_then(|code| code.parse::<i32>().ok())
        .map(|code| code & 0xff);
    matches!(primary, Some(TOO_BIG | CONSTRAINT | MISMATCH))
}

/// The engine names the constraint in its words only: `CHECK constraint failed: …`.
fn refused_value(message: &str) -> Option<&'static str> {
    message
        .contains("reports_fields_size_check")
        .then_some("fields")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_will_never_fit_is_told_from_what_passes() {
        let refused = [
            "18", "19", "275", "787", "1299", "1555", "2067", "3091", "20",
        ];
        let passing = [
            "1", "5", "517", "6", "8", "10", "778", "11", "13", "14", "26",
        ];
        assert!(refused.iter().all(|code| is_refusal(Some(code))));
        assert!(passing.iter().all(|code| !is_refusal(Some(code))));
        assert!(!is_refusal(None));
    }

    #[test]
    fn a_store_that_does_not_answer_is_unavailable() {
        let busy = sqlx::Error::PoolTimedOut;
        assert!(matches!(
            store_error("reports")(busy),
            StoreError::Unavailable(_)
        ));
        let gone = sqlx::Error::WorkerCrashed;
        assert!(matches!(
            store_error("reports")(gone),
            StoreError::Unavailable(_)
        ));
    }
}
