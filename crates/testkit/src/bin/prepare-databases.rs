//! `prepare-databases COMMAND…` runs a command with `POSTGRES_URL` and `SQLITE_URL` set to two
//! fresh, migrated databases, and removes them afterwards. One is created on the server of
//! `TEST_POSTGRES_URL` (see `with-postgres`), the other in a temporary folder.
//!
//! The SQL of the adapters is checked against these when they are compiled. So this program must
//! not depend on the adapters: it reads the migrations from their folders.

#![expect(clippy::print_stderr, reason = "a program for people at a terminal")]

use std::env;
use std::error::Error;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::Path;
use std::process::{Command, ExitCode};

use sqlx::migrate::{MigrateDatabase as _, Migrator};
use sqlx::{Connection as _, PgConnection, Postgres, Sqlite, SqliteConnection};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("prepare-databases: {error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test machine is described by its environment"
)]
async fn run() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let program = arguments
        .next()
        .ok_or("usage: prepare-databases COMMAND [ARGUMENT]…")?;
    let server = env::var("TEST_POSTGRES_URL")
        .map_err(|_| "TEST_POSTGRES_URL is not set: run this under with-postgres")?;
    let postgres_url = with_database(&server, &fresh_name())?;
    let folder = tempfile::tempdir()?;
    let sqlite_url = format!("sqlite://{}", folder.path().join("data.sqlite").display());

    Postgres::create_database(&postgres_url).await?;
    let outcome = async {
        Sqlite::create_database(&sqlite_url).await?;
        let mut postgres = PgConnection::connect(&postgres_url).await?;
        migrations("postgres").await?.run(&mut postgres).await?;
        postgres.close().await?;
        let mut sqlite = SqliteConnection::connect(&sqlite_url).await?;
        migrations("sqlite").await?.run(&mut sqlite).await?;
        sqlite.close().await?;
        let status = Command::new(program)
            .args(arguments)
            .env("POSTGRES_URL", &postgres_url)
            .env("SQLITE_URL", &sqlite_url)
            .status()?;
        Ok(if status.success() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    };
    let outcome = outcome.await;
    Postgres::drop_database(&postgres_url).await?;
    outcome
}

async fn migrations(engine: &str) -> Result<Migrator, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../migrations")
        .join(engine);
    let read = Migrator::new(folder.as_path()).await;
    read.map_err(|error| format!("{}: {error}", folder.display()))
}

fn fresh_name() -> String {
    format!(
        "receiptd_{:016x}",
        RandomState::new().build_hasher().finish()
    )
}

/// Returns the URL of another database on the same server.
fn with_database(server: &str, database: &str) -> Result<String, String> {
    let (rest, query) = match server.split_once('?') {
        Some((rest, query)) => (rest, format!("?{query}")),
        None => (server, String::new()),
    };
    let host = rest
        .find("://")
        .map(|at| at + 3)
        .ok_or("TEST_POSTGRES_URL is no URL")?;
    let end = rest
        .get(host..)
        .and_then(|host| host.find('/'))
        .map_or(rest.len(), |at| host + at);
    Ok(format!(
        "{}/{database}{query}",
        rest.get(..end).unwrap_or(rest)
    ))
}
