//! Places in the log that readers keep on the server.

use std::sync::Arc;

use domain::event::EventFilter;
use domain::{CursorName, LogPosition};
use ports::event_log::Cursor;
use ports::{Clock, LogCursors, StoreError};

use crate::LogTailCache;
use crate::events::lag::Lag;

/// How often a cursor that others move too is tried to be moved from wherever it
/// stands.
const RACES: usize = 10;

/// Shows, moves and forgets cursors.
pub struct ManageCursors {
    cursors: Arc<dyn LogCursors>,
    log: Arc<LogTailCache>,
    clock: Arc<dyn Clock>,
}

/// From where a cursor is moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MovedFrom {
    /// From wherever it stands; it need not be there yet.
    Anywhere,
    /// From here, or not at all.
    Position(LogPosition),
    /// It must not be there yet.
    Nowhere,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum CursorError {
    /// There is no such cursor.
    #[error("there is no cursor {0}")]
    NoSuchCursor(CursorName),
    /// It stands elsewhere.
    #[error("the cursor does not stand where it was to be moved from; look at it again")]
    Outdated,
    /// The log has not come to this position yet: what is recorded up to it would
    /// be missed.
    #[error("the log has not come to this position yet")]
    BeyondTheEnd,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ManageCursors {
    /// Manages the cursors into a log.
    #[must_use]
    pub const fn new(
        cursors: Arc<dyn LogCursors>,
        log: Arc<LogTailCache>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            cursors,
            log,
            clock,
        }
    }

    /// All of them, by name.
    pub async fn list(&self) -> Result<Vec<Cursor>, CursorError> {
        Ok(self.cursors.cursors().await?)
    }

    /// Where one stands.
    pub async fn find(&self, name: &CursorName) -> Result<LogPosition, CursorError> {
        let found = self.cursors.load(name.as_str()).await?;
        found.ok_or_else(|| CursorError::NoSuchCursor(name.clone()))
    }

    /// How far somebody at this position is behind, who wants all events.
    pub async fn lag(&self, position: LogPosition) -> Result<Lag, CursorError> {
        let now = self.clock.now();
        Ok(Lag::at(&self.log, position, &EventFilter::default(), now).await?)
    }

    /// Moves one, on or back. Of several that move it from the same position one
    /// succeeds. `true` if it was not there before.
    pub async fn put(
        &self,
        name: &CursorName,
        from: MovedFrom,
        to: LogPosition,
    ) -> Result<bool, CursorError> {
        if !self.log.reaches(to).await? {
            return Err(CursorError::BeyondTheEnd);
        }
        let races = match from {
            MovedFrom::Anywhere => RACES,
            MovedFrom::Position(_) | MovedFrom::Nowhere => 1,
        };
        for _ in 0..races {
            let from = match from {
                MovedFrom::Anywhere => self.cursors.load(name.as_str()).await?,
                MovedFrom::Position(position) => Some(position),
                MovedFrom::Nowhere => None,
            };
            if self.cursors.advance(name.as_str(), from, to).await? {
                return Ok(from.is_none());
            }
        }
        Err(CursorError::Outdated)
    }

    /// Forgets one.
    pub async fn remove(&self, name: &CursorName) -> Result<(), CursorError> {
        self.find(name).await?;
        Ok(self.cursors.remove(name.as_str()).await?)
    }
}
