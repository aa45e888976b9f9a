//! Reads the events that follow from the log, and waits for them.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use domain::event::{EventFilter, MessageEvent, events_of};
use domain::{LogEntry, LogPosition};
use ports::StoreError;
use ports::event_log::LogRead;
use tokio::time::Instant;

use crate::events::tail_cache::LogTailCache;

/// Reports that one answer examines at most. If the filter passes few events, the client continues
/// with the next request.
const MAX_EXAMINED: usize = 5_000;

/// Reports per read.
const READ_SIZE: NonZeroU16 = NonZeroU16::new(500).unwrap();

/// Reads events.
pub struct ReadEvents {
    log: Arc<LogTailCache>,
}

/// Which events to read.
#[derive(Clone, Debug)]
pub struct EventSelection {
    /// Events after this position; `None`: from the oldest one.
    pub after: Option<LogPosition>,
    /// Events that it passes.
    pub filter: EventFilter,
    /// At most so many, and one more if the last report made two.
    pub limit: NonZeroU16,
    /// How long to wait if there are none.
    pub wait: Duration,
}

/// The answer to an [`EventSelection`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventsRead {
    /// The next events.
    Page(EventsPage),
    /// Retention removed reports after the position, so events would be missing.
    Pruned {
        /// The oldest position that can be read from.
        oldest: LogPosition,
    },
    /// The position is beyond the end of the log: reports recorded up to it would be missed.
    BeyondEnd,
}

/// Events in the order of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsPage {
    /// The events.
    pub events: Vec<MessageEvent>,
    /// The position to continue after.
    pub next: LogPosition,
    /// Whether there may be more right now.
    pub more: bool,
}

impl ReadEvents {
    /// Reads the events of a log.
    #[must_use]
    pub const fn new(log: Arc<LogTailCache>) -> Self {
        Self { log }
    }

    /// Returns the log.
    #[must_use]
    pub const fn log(&self) -> &Arc<LogTailCache> {
        &self.log
    }

    /// Returns the next events as soon as there are some, or an empty page after the query's wait.
    pub async fn run(&self, query: &EventSelection) -> Result<EventsRead, StoreError> {
        if let Some(after) = query.after
            && !self.log.reaches(after).await?
        {
            return Ok(EventsRead::BeyondEnd);
        }
        let until = Instant::now() + query.wait;
        let mut after = query.after;
        loop {
            let mut changes = self.log.changes();
            let read = self.read_page(after, query).await?;
            let EventsRead::Page(page) = &read else {
                return Ok(read);
            };
            let left = until.saturating_duration_since(Instant::now());
            if !page.events.is_empty() || left.is_zero() {
                return Ok(read);
            }
            after = Some(page.next);
            if !page.more {
                changes.wait(left).await;
            }
        }
    }

    async fn read_page(
        &self,
        mut after: Option<LogPosition>,
        query: &EventSelection,
    ) -> Result<EventsRead, StoreError> {
        let limit = usize::from(query.limit.get());
        let (mut examined, mut events) = (0, Vec::new());
        let page_up_to = |events, next: Option<LogPosition>, more| {
            let next = next.unwrap_or(LogPosition::START);
            Ok(EventsRead::Page(EventsPage { events, next, more }))
        };
        loop {
            let page = match self.log.read(after, READ_SIZE).await? {
                LogRead::Page(page) => page,
                LogRead::Pruned { oldest } if events.is_empty() => {
                    return Ok(EventsRead::Pruned { oldest });
                }
                // The events read so far are complete.
                LogRead::Pruned { .. } => return page_up_to(events, after, true),
            };
            examined += page.entries.len();
            for entries in page.entries.chunk_by(share_a_position) {
                if events.len() >= limit {
                    return page_up_to(events, after, true);
                }
                let made = entries.iter().flat_map(events_of);
                events.extend(made.filter(|event| query.filter.passes(event)));
                after = entries.last().map(|last| last.position);
            }
            after = Some(page.next);
            if page.complete || events.len() >= limit || examined >= MAX_EXAMINED {
                return page_up_to(events, after, !page.complete);
            }
        }
    }
}

fn share_a_position(one: &LogEntry, other: &LogEntry) -> bool {
    one.position == other.position
}
