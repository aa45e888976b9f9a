//! A database of a test's own, on the server that `TEST_POSTGRES_URL` names.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::str::FromStr as _;

use adapter_postgres::{Options, PostgresStore};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};

/// Dropped with everything in it when the test ends.
pub(crate) struct Database {
    server: String,
    name: String,
}

impl Database {
    /// An empty database.
    pub(crate) async fn create() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the test machine is described by its environment"
        )]
        let server = std::env::var("TEST_POSTGRES_URL").unwrap_or_default();
        assert!(
            !server.is_empty(),
            "TEST_POSTGRES_URL names no PostgreSQL server: run the tests with `make test`"
        );
        Self::create_on(&server).await
    }

    /// An empty database on the server of this URL.
    pub(crate) async fn create_on(server: &str) -> Self {
        let number = RandomState::new().build_hasher().finish();
        let database = Self {
            server: server.to_owned(),
            name: format!("receiptd_test_{number:016x}"),
        };
        execute(server, format!("create database {}", database.name)).await;
        database
    }

    /// The URL of this database.
    pub(crate) fn url(&self) -> String {
        let mut url = PgConnectOptions::from_str(&self.server)
            .expect("TEST_POSTGRES_URL is a URL")
            .to_url_lossy();
        url.set_path(&self.name);
        url.into()
    }

    /// A store on this database, with tables.
    pub(crate) async fn store(&self) -> PostgresStore {
        let store = self.store_without_tables(&Options::default());
        store.migrate().await.expect("the tables are made");
        store
    }

    /// A store on this database as it is.
    pub(crate) fn store_without_tables(&self, options: &Options) -> PostgresStore {
        PostgresStore::connect(&self.url(), options).expect("the URL is one")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let server = self.server.clone();
        let statement = format!("drop database if exists {} with (force)", self.name);
        let drop_it = move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime")
                .block_on(execute(&server, statement));
        };
        // The test's own runtime cannot wait here. A stopped server needs no cleanup.
        let _ = std::thread::spawn(drop_it).join();
    }
}

async fn execute(server: &str, statement: String) {
    let mut connection = PgConnection::connect(server)
        .await
        .expect("the server of TEST_POSTGRES_URL answers");
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(&mut connection)
        .await
        .expect("a superuser may create and drop databases");
}
