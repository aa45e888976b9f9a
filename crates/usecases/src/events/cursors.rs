//! Named cursors: positions in the log that clients store on the server.

use std::sync::Arc;

use domain::event::EventFilter;
use domain::{CursorName, LogPosition};
use ports::event_log::Cursor;
use ports::{Environment, EventLog, StoreError};

use crate::events::lag::Lag;
use crate::events::tail_cache::LogTailCache;

/// How often moving a cursor unconditionally is repeated while other clients move it too.
const MAX_RACES: usize = 10;

/// Shows, moves and removes cursors.
pub struct ManageCursors {
    cursors: Arc<dyn EventLog>,
    log: Arc<LogTailCache>,
    clock: Arc<dyn Environment>,
}

/// What a cursor has to be at to be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedPosition {
    /// At any position, or absent.
    Any,
    /// At this position.
    At(LogPosition),
    /// Absent.
    Absent,
}

/// Why a cursor operation failed.
#[derive(Debug, thiserror::Error)]
pub enum CursorError {
    /// There is no such cursor.
    #[error("there is no cursor {0}")]
    NoSuchCursor(CursorName),
    /// The cursor is at another position.
    #[error("the cursor is not at the expected position; read it again")]
    Outdated,
    /// The position is beyond the end of the log: reports recorded up to it would be missed.
    #[error("the position is beyond the end of the log")]
    BeyondEnd,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ManageCursors {
    /// Manages the cursors of a log.
    #[must_use]
    pub const fn new(
        cursors: Arc<dyn EventLog>,
        log: Arc<LogTailCache>,
        clock: Arc<dyn Environment>,
    ) -> Self {
        Self {
            cursors,
            log,
            clock,
        }
    }

    /// Returns all cursors, by name.
    pub async fn list(&self) -> Result<Vec<Cursor>, CursorError> {
        Ok(self.cursors.cursors().await?)
    }

    /// Returns the position of a cursor.
    pub async fn find(&self, name: &CursorName) -> Result<LogPosition, CursorError> {
        let found = self.cursors.cursor(name.as_str()).await?;
        found.ok_or_else(|| CursorError::NoSuchCursor(name.clone()))
    }

    /// Returns the lag of a reader of all events at `position`.
    pub async fn lag(&self, position: LogPosition) -> Result<Lag, CursorError> {
        let now = self.clock.now();
        Ok(Lag::at(&self.log, position, &EventFilter::default(), now).await?)
    }

    /// Moves a cursor forwards or backwards, and returns whether it is new. Of several clients
    /// that move it from the same position, one succeeds.
    pub async fn put(
        &self,
        name: &CursorName,
        expected: ExpectedPosition,
        to: LogPosition,
    ) -> Result<bool, CursorError> {
        if !self.log.reaches(to).await? {
            return Err(CursorError::BeyondEnd);
        }
        let attempts = match expected {
            ExpectedPosition::Any => MAX_RACES,
            ExpectedPosition::At(_) | ExpectedPosition::Absent => 1,
        };
        for _ in 0..attempts {
            let from = match expected {
                ExpectedPosition::Any => self.cursors.cursor(name.as_str()).await?,
                ExpectedPosition::At(position) => Some(position),
                ExpectedPosition::Absent => None,
            };
            if self.cursors.advance_cursor(name.as_str(), from, to).await? {
                return Ok(from.is_none());
            }
        }
        Err(CursorError::Outdated)
    }

    /// Removes a cursor.
    pub async fn remove(&self, name: &CursorName) -> Result<(), CursorError> {
        self.find(name).await?;
        Ok(self.cursors.remove_cursor(name.as_str()).await?)
    }
}
