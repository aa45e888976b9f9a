//! Conversion of the engine's errors.

use ports::{StoreError, error::Source};

/// Converts an error of a statement on `table`, by what the caller can do about it.
pub(crate) fn store_error(table: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |error| {
        let refusal = error.as_database_error();
        let refusal = refusal.filter(|it| fault(it.code().as_deref()) == Fault::Values);
        let refused = refusal.map(|it| refused_value(it.message()).unwrap_or(table));
        sql_rows::error::store_error(table, refused, error, cause)
    }
}

/// Returns what the engine said, without what sqlx repeats of it.
pub(crate) fn cause(error: sqlx::Error) -> Source {
    match error {
        sqlx::Error::Io(error) => error.into(),
        other => sql_rows::error::message(&other, "SQLite code").into(),
    }
}

/// What is at fault when a statement fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The engine will never accept these values.
    Values,
    /// The file, its disk, its schema or another process is at fault; the engine may accept the
    /// same values later.
    Store,
}

/// Every primary result code of an error, as SQLite documents them.
const PRIMARY: [(i32, Fault); 26] = [
    (1, Fault::Store),   // ERROR: an unknown table, a schema that is not ours
    (2, Fault::Store),   // INTERNAL
    (3, Fault::Store),   // PERM
    (4, Fault::Store),   // ABORT
    (5, Fault::Store),   // BUSY: another process writes
    (6, Fault::Store),   // LOCKED
    (7, Fault::Store),   // NOMEM
    (8, Fault::Store),   // READONLY
    (9, Fault::Store),   // INTERRUPT
    (10, Fault::Store),  // IOERR
    (11, Fault::Store),  // CORRUPT
    (12, Fault::Store),  // NOTFOUND
    (13, Fault::Store),  // FULL
    (14, Fault::Store),  // CANTOPEN
    (15, Fault::Store),  // PROTOCOL
    (16, Fault::Store),  // EMPTY
    (17, Fault::Store),  // SCHEMA: it changed under a statement
    (18, Fault::Values), // TOOBIG
    (19, Fault::Values), // CONSTRAINT
    (20, Fault::Store),  // MISMATCH: a key of another type, so a schema that is not ours
    (21, Fault::Store),  // MISUSE
    (22, Fault::Store),  // NOLFS: the file is too large for the system
    (23, Fault::Store),  // AUTH
    (24, Fault::Store),  // FORMAT
    (25, Fault::Store),  // RANGE
    (26, Fault::Store),  // NOTADB
];

/// Extended codes that are not like their primary one.
const EXTENDED: [(i32, Fault); 6] = [
    (531, Fault::Store),  // CONSTRAINT_COMMITHOOK
    (1043, Fault::Store), // CONSTRAINT_FUNCTION
    (1299, Fault::Store), // CONSTRAINT_NOTNULL: every column of ours has a value
    (2323, Fault::Store), // CONSTRAINT_VTAB
    (2835, Fault::Store), // CONSTRAINT_PINNED
    (3091, Fault::Store), // CONSTRAINT_DATATYPE: a column of another type
];

/// Returns what is at fault; the text is a result code, extended or not.
fn fault(code: Option<&str>) -> Fault {
    let Some(code) = code.and_then(|code| code.parse::<i32>().ok()) else {
        return Fault::Store;
    };
    // The lower byte of an extended code is the primary one.
    let extended = EXTENDED.iter().find(|(known, _)| *known == code);
    let primary = PRIMARY.iter().find(|(known, _)| *known == code & 0xff);
    extended
        .or(primary)
        .map_or(Fault::Store, |(_, fault)| *fault)
}

/// The engine names the constraint in its message only: `CHECK constraint failed: …`.
fn refused_value(message: &str) -> Option<&'static str> {
    message
        .contains("reports_fields_size_check")
        .then_some("fields")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_fault_of_values_or_of_store() {
        let values = ["18", "19", "275", "787", "1555", "1811", "2067", "2579"];
        let extended = [
            "261", "262", "266", "517", "531", "778", "1043", "1299", "2323", "2835", "3091",
            "3338",
        ];
        for code in values {
            assert_eq!(fault(Some(code)), Fault::Values, "{code}");
        }
        for code in extended {
            assert_eq!(fault(Some(code)), Fault::Store, "{code}");
        }
        for code in (1..=17).chain(20..=26) {
            assert_eq!(fault(Some(&code.to_string())), Fault::Store, "{code}");
        }
        assert_eq!(fault(None), Fault::Store);
        assert_eq!(fault(Some("99")), Fault::Store);
    }

    #[test]
    fn classes_and_codes_are_listed_once() {
        for (at, (code, _)) in PRIMARY.iter().enumerate() {
            assert_eq!(usize::try_from(*code).unwrap(), at + 1);
        }
        for (code, of_extended) in EXTENDED {
            let of_primary = fault(Some(&(code & 0xff).to_string()));
            assert_ne!(of_extended, of_primary, "{code}");
        }
    }

    #[test]
    fn unresponsive_store_is_unavailable() {
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
