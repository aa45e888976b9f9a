//! Classification of the server's error codes: what is at fault when a statement fails.
//!
//! A report is rejected permanently only if its own values are at fault. Everything that may be
//! due to the server, its schema or its settings counts as *unavailable* instead: the report
//! goes to the journal and is recorded once the fault is repaired.

/// What is at fault when a statement fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server will never accept these values.
    Values,
    /// The server, its schema or its settings are at fault; it may take the same values later.
    Server,
    /// The connection is unusable; a new one may reach a server that works.
    Connection,
    /// Another session held a lock for longer than the statement may wait.
    Lock,
    /// The statement lost a race to another transaction; it is retried immediately.
    Race,
}

/// Every class of SQLSTATE codes that PostgreSQL documents (appendix A of its manual).
const CLASSES: [(&str, Fault); 44] = [
    ("00", Fault::Server),     // successful completion
    ("01", Fault::Server),     // warning
    ("02", Fault::Server),     // no data
    ("03", Fault::Server),     // SQL statement not yet complete
    ("08", Fault::Connection), // connection exception
    ("09", Fault::Server),     // triggered action exception
    ("0A", Fault::Server),     // feature not supported
    ("0B", Fault::Server),     // invalid transaction initiation
    ("0F", Fault::Server),     // locator exception
    ("0L", Fault::Server),     // invalid grantor
    ("0P", Fault::Server),     // invalid role specification
    ("0Z", Fault::Server),     // diagnostics exception
    ("10", Fault::Server),     // XQuery error
    ("20", Fault::Server),     // case not found
    ("21", Fault::Server),     // cardinality violation
    ("22", Fault::Values),     // data exception: a value it cannot keep
    ("23", Fault::Server),     // integrity constraint violation: see `of_constraint`
    ("24", Fault::Server),     // invalid cursor state
    ("25", Fault::Server),     // invalid transaction state
    ("26", Fault::Server),     // invalid SQL statement name: a connection pooler
    ("27", Fault::Server),     // triggered data change violation
    ("28", Fault::Server),     // invalid authorization specification
    ("2B", Fault::Server),     // dependent privilege descriptors still exist
    ("2D", Fault::Server),     // invalid transaction termination
    ("2F", Fault::Server),     // SQL routine exception
    ("34", Fault::Server),     // invalid cursor name
    ("38", Fault::Server),     // external routine exception
    ("39", Fault::Server),     // external routine invocation exception
    ("3B", Fault::Server),     // savepoint exception
    ("3D", Fault::Server),     // invalid catalog name
    ("3F", Fault::Server),     // invalid schema name
    ("40", Fault::Server),     // transaction rollback
    ("42", Fault::Server),     // syntax error or access rule violation: the schema is not ours
    ("44", Fault::Server),     // WITH CHECK OPTION violation
    ("53", Fault::Server),     // insufficient resources
    ("54", Fault::Values),     // program limit exceeded: a value too large to index or to parse
    ("55", Fault::Server),     // object not in prerequisite state
    ("57", Fault::Server),     // operator intervention
    ("58", Fault::Server),     // system error
    ("72", Fault::Server),     // snapshot failure
    ("F0", Fault::Server),     // configuration file error
    ("HV", Fault::Server),     // foreign data wrapper error
    ("P0", Fault::Server),     // PL/pgSQL error
    ("XX", Fault::Server),     // internal error, corrupt data
];

/// Codes that are not like their class.
const CODES: [(&str, Fault); 19] = [
    ("22001", Fault::Server), // string_data_right_truncation: no column of ours has a length
    ("22P05", Fault::Server), // untranslatable_character: the database is not UTF-8
    ("25006", Fault::Connection), // read_only_sql_transaction: no longer a primary
    ("25P03", Fault::Connection), // idle_in_transaction_session_timeout
    ("25P04", Fault::Connection), // transaction_timeout
    ("40001", Fault::Race),   // serialization_failure
    ("40P01", Fault::Race),   // deadlock_detected
    ("54011", Fault::Server), // too_many_columns
    ("54023", Fault::Server), // too_many_arguments
    ("55P03", Fault::Lock),   // lock_not_available
    ("57P01", Fault::Connection), // admin_shutdown
    ("57P02", Fault::Connection), // crash_shutdown
    ("57P03", Fault::Connection), // cannot_connect_now
    ("57P04", Fault::Connection), // database_dropped
    ("57P05", Fault::Connection), // idle_session_timeout
    (CHECK_VIOLATION, Fault::Values),
    (UNIQUE_VIOLATION, Fault::Values),
    (FOREIGN_KEY_VIOLATION, Fault::Values),
    ("23P01", Fault::Server), // exclusion_violation: there is no such constraint
];

const FOREIGN_KEY_VIOLATION: &str = "23503";
const UNIQUE_VIOLATION: &str = "23505";
const CHECK_VIOLATION: &str = "23514";

/// Returns what is at fault; `constraint` is the one that the statement would have broken.
pub(crate) fn fault(code: &str, constraint: Option<&str>) -> Fault {
    let special = CODES.iter().find(|(special, _)| *special == code);
    let class = CLASSES
        .iter()
        .find(|(class, _)| code.get(..2) == Some(*class));
    match special.or(class) {
        Some((_, Fault::Values))
            if code.starts_with("23") && !is_fault_of_values(code, constraint) =>
        {
            Fault::Server
        }
        Some((_, fault)) => *fault,
        None => Fault::Server,
    }
}

/// Returns whether a constraint violation is the fault of the values.
///
/// A check without a name is not: it means that no partition accepts the row. Neither is a
/// duplicate key of the log: ids are then not generated correctly.
fn is_fault_of_values(code: &str, constraint: Option<&str>) -> bool {
    constraint.is_some_and(|name| code != UNIQUE_VIOLATION || !name.starts_with("reports"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_and_codes_are_listed_once() {
        for (at, (class, _)) in CLASSES.iter().enumerate() {
            assert!(CLASSES[at + 1..].iter().all(|(other, _)| other != class));
        }
        for (at, (code, _)) in CODES.iter().enumerate() {
            assert!(CODES[at + 1..].iter().all(|(other, _)| other != code));
            assert!(CLASSES.iter().any(|(class, _)| *class == &code[..2]));
        }
    }

    #[test]
    fn row_without_partition_is_fault_of_schema() {
        assert_eq!(fault("23514", None), Fault::Server);
        assert_eq!(
            fault("23514", Some("reports_fields_size_check")),
            Fault::Values
        );
    }

    #[test]
    fn duplicate_key_of_log_is_fault_of_server() {
        assert_eq!(fault("23505", Some("reports_20261122_pkey")), Fault::Server);
        assert_eq!(
            fault("23505", Some("channel_credentials_id_pkey")),
            Fault::Values
        );
    }

    #[test]
    fn unknown_code_is_fault_of_server() {
        assert_eq!(fault("ZZ000", None), Fault::Server);
        assert_eq!(fault("", None), Fault::Server);
    }
}
