//! Copying the write-ahead log into the file, off the writer's path.
//!
//! A commit only appends to the log. Somebody has to copy it into the file now and then, or
//! it grows without end and reading slows down. SQLite would do that within some unlucky
//! commit (measured: 90 to 140 ms); here a reading connection does it beside the writer.
//! [`SqliteStore::checkpoint`] is a step for a worker that runs it every few seconds, and the
//! commits of a process without such a worker do it themselves when the log is large.

use ports::StoreError;

use crate::SqliteStore;
use crate::error::store_error;
use crate::runtime::Operation as _;

/// How far the log is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Pages in the log.
    pub log_pages: i64,
    /// Those of them that stand in the file. If all do, the log starts anew with the next
    /// commit.
    pub copied_pages: i64,
}

/// A log of this many pages (16 MB) should start anew.
const LONG_LOG: i64 = 4_000;

/// So many pages the writer may be made to wait for (1 MB).
const SHORT_REST: i64 = 256;

/// How often to try to get near the writer before holding it up all the same.
const ROUNDS: usize = 4;

impl SqliteStore {
    /// Copies the log into the file. Commits go on meanwhile; only when the log is long, and
    /// a busy writer has appended to it all the time, the writer waits for the last few pages,
    /// so that the log can start anew.
    pub async fn checkpoint(&self) -> Result<Checkpoint, StoreError> {
        self.copy_log().await.map_err(store_error("sqlite_schema"))
    }

    async fn copy_log(&self) -> Result<Checkpoint, sqlx::Error> {
        let mut reached = self.copy_committed().await?;
        for _ in 0..ROUNDS {
            let rest = reached.log_pages - reached.copied_pages;
            if rest <= 0 || reached.log_pages < LONG_LOG {
                return Ok(reached);
            }
            if rest <= SHORT_REST {
                break;
            }
            reached = self.copy_committed().await?;
        }
        let writer = self.writer().await?;
        reached = self.copy_committed().await?;
        writer.keep();
        Ok(reached)
    }

    /// Copies what is committed and what no reader still needs.
    async fn copy_committed(&self) -> Result<Checkpoint, sqlx::Error> {
        let (_, log_pages, copied_pages): (i64, i64, i64) =
            sqlx::query_as("pragma wal_checkpoint(passive)")
                .fetch_one(&self.readers)
                .run_in(&self.runtime)
                .await?;
        Ok(Checkpoint {
            log_pages,
            copied_pages,
        })
    }
}
