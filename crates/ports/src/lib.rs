//! The interfaces between the core and the outside world: one small trait per need.
//!
//! A *port* is a trait that a use case calls and an adapter implements. Use cases hold ports as
//! `Arc<dyn Port>` and never learn which database, file or HTTP client implements them. Start
//! reading at [`reports`], the store of reports and messages, and at [`integrator`], the interface
//! to the companies that send reports.
//!
//! # Rules for every port
//!
//! - A method is one whole, atomic step. There is no `begin` and `commit`: transactions and
//!   connections are the adapter's business. `record(batch)` either records the whole batch or
//!   nothing.
//! - Absence is `Ok(None)`, never an error. Errors are [`StoreError`] (or a type of the port),
//!   whose variants say what the caller can do: retry later, reject these values, or alert a
//!   person.
//! - The documentation of a method says what happens on repetition, on absence, and when two
//!   callers race. Each such sentence has a test in `testkit::contract`, which every
//!   implementation passes.
//! - Ports use domain values only: no SQL rows, no JSON, no HTTP types.
//!
//! # How to add a port
//!
//! 1. Write the trait in a module of this crate, with `#[async_trait]` and `Send + Sync`, as small
//!    as the one use case that needs it. Document repetition, absence and races.
//! 2. Write the contract: a module in `testkit/src/contract/` with one test function per
//!    documented sentence, and a line in `contract_tests!`.
//! 3. Implement the trait for the in-memory store in `testkit/src/memory/` until the contract
//!    passes there (`cargo nextest run -p testkit`). Use cases are tested on this store.
//! 4. Implement it in `adapter-sqlite` and `adapter-postgres` in files of the same name, and add
//!    the contract to their `tests/contract.rs`. Run `make sqlx` after changing SQL.
//! 5. If it is a store port, add it to [`store::Store`].
//! 6. Pass it to the use case in `crates/app/src/composition.rs`, the only place that knows the
//!    engines.
//!
//! # How to add a store
//!
//! Create a crate `adapter-<engine>` that depends on `domain` and `ports` only. Implement all store
//! ports ([`store::Store`]) for one type that is cheap to clone, and let `tests/contract.rs` run
//! every suite of `testkit::contract` on it:
//!
//! ```ignore
//! async fn fresh() -> Fresh<NewStore> { /* an empty database, opened twice */ }
//!
//! testkit::contract_tests!(reports, fresh);
//! testkit::contract_tests!(channels, fresh);
//! // … one line per suite
//! ```
//!
//! When all suites pass, choose the store by the scheme of its URL in
//! `crates/app/src/composition.rs`, and add its name to the pictures in `docs/architecture.md` and
//! `crates/app/tests/architecture.rs`, which checks the dependencies.

pub mod access;
pub mod audit;
pub mod channels;
pub mod environment;
pub mod error;
pub mod event_log;
pub mod forwarding;
pub mod integrator;
pub mod journal;
pub mod maintenance;
pub mod message_records;
pub mod metrics;
pub mod reconciliation;
pub mod rejections;
pub mod reports;
pub mod saved_views;
pub mod statistics;
pub mod store;
pub mod subscriptions;
pub mod troubles;
pub mod url_probe;
pub mod webhook_sender;

pub use access::AccessStore;
pub use audit::AuditLog;
pub use channels::{ChannelSnapshot, ChannelStore, ChannelWithCredentials};
pub use environment::{Calendar, Environment};
pub use error::StoreError;
pub use event_log::EventLog;
pub use forwarding::{ForwardedRequestStore, RequestForwarder};
pub use integrator::{Headers, Integrator};
pub use journal::{Journal, JournalEntry};
pub use maintenance::Maintenance;
pub use message_records::MessageRecords;
pub use metrics::Metrics;
pub use reconciliation::ReconciliationStore;
pub use rejections::RejectionStore;
pub use reports::ReportStore;
pub use saved_views::SavedViewStore;
pub use statistics::Statistics;
pub use store::Store;
pub use subscriptions::{DeliveryQueue, DeliveryStore, SubscriptionStore};
pub use troubles::{OperatorEvents, TroubleStore};
pub use url_probe::UrlProbe;
pub use webhook_sender::WebhookSender;
