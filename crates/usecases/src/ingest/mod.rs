//! From a request to a durable report: authenticate the caller, parse and check the report, record
//! it in a batch, and answer. The circuit breaker and the journal carry ingest through a database
//! outage.

pub mod authenticate;
pub mod bisect;
mod callback_failures;
pub mod circuit_breaker;
pub mod group_commit;
pub mod journal_replay;
pub mod queue;
pub mod receive;
mod rejection_writer;
