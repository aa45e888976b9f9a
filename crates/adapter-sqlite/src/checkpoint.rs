//! Copying the write-ahead log (WAL) into the file, beside the writer.
//!
//! A commit only appends to the WAL, which has to be copied into the file now and then, or it
//! grows without limit and reading slows down. SQLite would do that within some commit (measured:
//! 90 to 140 ms); here a reading connection does it while commits go on. A background task calls
//! [`SqliteStore::checkpoint`] every few seconds; in a process without it, commits do it
//! themselves once the WAL is large.

use ports::StoreError;

use crate::SqliteStore;
use crate::runtime::Query as _;

/// How far the WAL is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Pages in the WAL.
    pub log_pages: i64,
    /// Those of them that are in the file. If all are, the next commit restarts the WAL.
    pub copied_pages: i64,
}

/// A WAL of this many pages (16 MB) should be restarted.
const LONG_WAL_PAGES: i64 = 4_000;

/// For this many pages (1 MB) the writer may be blocked.
const MAX_BLOCKING_PAGES: i64 = 256;

/// How often to copy until few pages are left, before the writer is blocked anyway.
const MAX_ROUNDS: usize = 4;

impl SqliteStore {
    /// Copies the WAL into the file while commits go on. The writer is blocked for the last few
    /// pages only if the WAL is long and commits have kept appending to it.
    pub async fn checkpoint(&self) -> Result<Checkpoint, StoreError> {
        let copied = self.copy_wal();
        copied
            .run(&self.runtime, "checkpoint", "sqlite_schema")
            .await
    }

    async fn copy_wal(&self) -> Result<Checkpoint, sqlx::Error> {
        let mut reached = self.copy_committed().await?;
        for _ in 0..MAX_ROUNDS {
            let rest = reached.log_pages - reached.copied_pages;
            if rest <= 0 || reached.log_pages < LONG_WAL_PAGES {
                return Ok(reached);
            }
            if rest <= MAX_BLOCKING_PAGES {
                break;
            }
            reached = self.copy_committed().await?;
        }
        let writer = self.writer().await?;
        reached = self.copy_committed().await?;
        writer.keep();
        Ok(reached)
    }

    /// Copies what is committed and no reader still needs.
    async fn copy_committed(&self) -> Result<Checkpoint, sqlx::Error> {
        let (_, log_pages, copied_pages): (i64, i64, i64) =
            sqlx::query_as("pragma wal_checkpoint(passive)")
                .fetch_one(&self.readers)
                .await?;
        Ok(Checkpoint {
            log_pages,
            copied_pages,
        })
    }
}
