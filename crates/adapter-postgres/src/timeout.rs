//! A server that says nothing: a firewall that has forgotten a connection tells neither side,
//! and the operating system finds out after a quarter of an hour.
//!
//! The server ends statements that take too long, which helps nobody who does not hear of it.
//! So nothing waits for ever, and a connection on which somebody has stopped waiting is
//! closed unless it answers.

use std::io;
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Error};

/// An operation on the server.
pub(crate) trait Operation<T, E: From<Error>>:
    Future<Output = Result<T, E>> + Sized
{
    /// Its outcome, or an error if there is none for so long.
    async fn in_time(self, patience: Duration) -> Result<T, E> {
        match tokio::time::timeout(patience, self).await {
            Ok(outcome) => outcome,
            Err(_) => Err(silent().into()),
        }
    }
}

impl<T, E: From<Error>, F: Future<Output = Result<T, E>>> Operation<T, E> for F {}

/// Whether a connection may go back to its pool, which would wait for its answer for ever.
pub(crate) async fn is_well(
    connection: &mut PgConnection,
    patience: Duration,
) -> Result<bool, Error> {
    connection.ping().in_time(patience).await.map(|()| true)
}

fn silent() -> Error {
    let why = io::Error::new(io::ErrorKind::TimedOut, "the server does not answer");
    Error::Io(why)
}
