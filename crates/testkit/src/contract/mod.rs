//! The contract suites: what every store must do, as tests that every store passes.
//!
//! Each documented promise of a store port is a function in this module, named for the behaviour
//! that holds when it passes. The suites of stores run on the in-memory store, on SQLite and on
//! PostgreSQL, so use cases that are tested in memory behave the same on a real engine; the suite
//! `journal` runs on the journals in memory and in files.
//!
//! # How an adapter runs the suites
//!
//! It provides an empty store, opened twice on the same data as two processes would, and names the
//! suites. The macro turns every function of a suite into a test of its own:
//!
//! ```ignore
//! async fn fresh() -> Fresh<SqliteStore> { /* a new file, opened twice */ }
//!
//! testkit::contract_tests!(reports, fresh);
//! testkit::contract_tests!(channels, fresh);
//! testkit::contract_tests!(rejections, fresh);
//! testkit::contract_tests!(log, fresh);
//! testkit::contract_tests!(cursors, fresh);
//! testkit::contract_tests!(subscriptions, fresh);
//! testkit::contract_tests!(retention, fresh);
//! testkit::contract_tests!(erasures, fresh);
//! testkit::contract_tests!(statistics, fresh);
//! testkit::contract_tests!(access, fresh);
//! testkit::contract_tests!(saved_views, fresh);
//! testkit::contract_tests!(reconciliations, fresh);
//! testkit::contract_tests!(forwarding, fresh);
//! testkit::contract_tests!(troubles, fresh);
//! ```
//!
//! A failing test is then found under the engine and the suite, for example
//! `adapter-sqlite::contract reports::recording_a_batch_is_idempotent`.
//!
//! # How to add a promise
//!
//! 1. Write it into the documentation of the port's method.
//! 2. Write a `pub async fn` in the suite's module that takes `Stores<dyn Port>`. Its two stores
//!    share their data: use `store.one` alone for a sequential promise, both for a race.
//! 3. Add its name to the list in the suite's module. A test in `tests.rs` fails if a function is
//!    missing from its list.
//! 4. Run it on all engines: `make test ARGS='name_of_the_function'`.
//!
//! # How to write one
//!
//! - Build values with [`crate::builders`] and fix the time: `report(&sid).status("read").build()`.
//! - Compute the expected result with the domain (for example by folding reports into a message
//!   state), never by repeating the store's logic in the test.
//! - For a race start many tasks on both stores and assert what must hold for every interleaving.
//! - Never sleep; wait for a condition. [`in_time`] fails a test that hangs.
//!
//! # How to add a suite
//!
//! Create a module with a `macro_rules! __<suite>_contract` that lists its functions (copy the
//! shortest one, `saved_views.rs`), add an arm to [`contract_tests!`](crate::contract_tests), the
//! suite to the test in `tests.rs`, and a line to the `tests/contract.rs` of this crate and of
//! every adapter.

#![expect(
    missing_docs,
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    reason = "these functions are tests: their names say what is true, and they fail by panicking"
)]

pub mod access;
pub mod channels;
pub mod cursors;
pub mod erasures;
pub mod forwarding;
pub mod journal;
pub mod log;
pub mod reconciliations;
pub mod rejections;
pub mod reports;
pub mod retention;
pub mod saved_views;
pub mod statistics;
pub mod subscriptions;
pub mod troubles;

use std::any::Any;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// An empty store for one test.
pub struct Fresh<S> {
    /// The store.
    pub store: Arc<S>,
    /// Another store on the same data, opened as a second process would.
    pub other: Arc<S>,
    /// A guard that must outlive both stores, such as a temporary folder.
    pub kept: Box<dyn Any + Send>,
}

impl<S> Fresh<S> {
    /// Combines two stores on the same data with the guard that keeps the data alive.
    pub fn new(store: S, other: S, kept: impl Any + Send) -> Self {
        Self {
            store: Arc::new(store),
            other: Arc::new(other),
            kept: Box::new(kept),
        }
    }
}

/// The two stores of a [`Fresh`], seen as one port.
pub struct Stores<P: ?Sized> {
    /// The store.
    pub one: Arc<P>,
    /// Another store on the same data.
    pub other: Arc<P>,
}

impl<P: ?Sized> Stores<P> {
    /// Alternates between the two stores: even racers get the first, odd ones the second.
    fn nth(&self, racer: usize) -> Arc<P> {
        Arc::clone(if racer.is_multiple_of(2) {
            &self.one
        } else {
            &self.other
        })
    }
}

/// Runs a test with a time limit, so that a deadlock fails it.
pub async fn in_time(test: impl Future<Output = ()>) {
    tokio::time::timeout(Duration::from_mins(2), test)
        .await
        .expect("the test ends within two minutes");
}

/// Turns every function of a suite (each has an arm below) into a `#[tokio::test]`, in a module of
/// its name. The second argument is an `async fn() -> Fresh<S>`, called once for each test.
#[macro_export]
macro_rules! contract_tests {
    (reports, $fresh:path) => {
        $crate::__reports_contract!([$crate::__contract_module]
            reports,
            dyn ::ports::ReportStore,
            $fresh
        );
    };
    (channels, $fresh:path) => {
        $crate::__channels_contract!([$crate::__contract_module]
            channels,
            dyn ::ports::ChannelStore,
            $fresh
        );
    };
    (rejections, $fresh:path) => {
        $crate::__rejections_contract!([$crate::__contract_module]
            rejections,
            dyn ::ports::RejectionStore,
            $fresh
        );
    };
    (log, $fresh:path) => {
        $crate::__log_contract!([$crate::__contract_module]
            log,
            dyn $crate::contract::log::LoggingStore,
            $fresh
        );
    };
    (retention, $fresh:path) => {
        $crate::__retention_contract!([$crate::__contract_module]
            retention,
            dyn $crate::contract::retention::RetainingStore,
            $fresh
        );
    };
    (erasures, $fresh:path) => {
        $crate::__erasures_contract!([$crate::__contract_module]
            erasures,
            dyn $crate::contract::erasures::ErasingStore,
            $fresh
        );
    };
    (access, $fresh:path) => {
        $crate::__access_contract!([$crate::__contract_module]
            access,
            dyn $crate::contract::access::OperatorStore,
            $fresh
        );
    };
    (saved_views, $fresh:path) => {
        $crate::__saved_views_contract!([$crate::__contract_module]
            saved_views,
            dyn ::ports::SavedViewStore,
            $fresh
        );
    };
    (reconciliations, $fresh:path) => {
        $crate::__reconciliations_contract!([$crate::__contract_module]
            reconciliations,
            dyn $crate::contract::reconciliations::ReconciledStore,
            $fresh
        );
    };
    (forwarding, $fresh:path) => {
        $crate::__forwarding_contract!([$crate::__contract_module]
            forwarding,
            dyn $crate::contract::forwarding::ForwardingStore,
            $fresh
        );
    };
    (cursors, $fresh:path) => {
        $crate::__cursors_contract!([$crate::__contract_module]
            cursors,
            dyn ::ports::EventLog,
            $fresh
        );
    };
    (subscriptions, $fresh:path) => {
        $crate::__subscriptions_contract!([$crate::__contract_module]
            subscriptions,
            dyn $crate::contract::subscriptions::EventDeliveryStore,
            $fresh
        );
    };
    (statistics, $fresh:path) => {
        $crate::__statistics_contract!([$crate::__contract_module]
            statistics,
            dyn $crate::contract::statistics::CountedStore,
            $fresh
        );
    };
    (troubles, $fresh:path) => {
        $crate::__troubles_contract!([$crate::__contract_module]
            troubles,
            dyn $crate::contract::troubles::TroubledStore,
            $fresh
        );
    };
    (journal, $fresh:path) => {
        $crate::__journal_contract!([$crate::__contract_module]
            journal,
            dyn $crate::contract::journal::JournalPlace,
            $fresh
        );
    };
}

/// The module that [`contract_tests!`] makes.
#[doc(hidden)]
#[macro_export]
macro_rules! __contract_module {
    ($area:ident, $port:ty, $fresh:path, $($name:ident)*) => {
        mod $area {
            use super::*;
            $(
                #[::tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let fresh = $fresh().await;
                    $crate::contract::in_time($crate::contract::$area::$name(
                        $crate::contract::Stores::<$port> {
                            one: fresh.store.clone(),
                            other: fresh.other.clone(),
                        },
                    ))
                    .await;
                }
            )*
        }
    };
}

#[cfg(test)]
mod tests;
