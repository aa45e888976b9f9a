//! The events that follow from the log, for whoever asks for them.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use domain::event::{EventFilter, MessageEvent, events_of};
use domain::{LogEntry, LogPosition};
use ports::event_log::LogRead;
use ports::{EventLog as _, StoreError};
use tokio::time::Instant;

use crate::LogTailCache;

/// How many reports are looked at for one answer: where few events pass the
/// filter, the rest is left to the next one.
const LOOKED_AT_MOST: usize = 5_000;

/// How many reports are read at a time.
const STEP: u16 = 500;

/// Reads events.
pub struct ReadEvents {
    log: Arc<LogTailCache>,
}

/// Which events are asked for.
#[derive(Clone, Debug)]
pub struct EventsWanted {
    /// Those behind this position; `None`: from the oldest there is.
    pub after: Option<LogPosition>,
    /// Those that it lets through.
    pub filter: EventFilter,
    /// So many at most, and one more if a report made two.
    pub limit: NonZeroU16,
    /// How long to wait if there are none.
    pub wait: Duration,
}

/// What came of asking for events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventsRead {
    /// The next events.
    Page(EventsPage),
    /// Reports behind the position are gone, so events would be missing.
    Pruned {
        /// The oldest position that can be read from.
        oldest: LogPosition,
    },
    /// The log has not come to the position: what is recorded up to it would be
    /// missed.
    BeyondTheEnd,
}

/// Some events, in the order of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsPage {
    /// The events.
    pub events: Vec<MessageEvent>,
    /// Where to go on.
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

    /// The log they are read from.
    #[must_use]
    pub const fn log(&self) -> &Arc<LogTailCache> {
        &self.log
    }

    /// The next events, as soon as there are some.
    pub async fn run(&self, wanted: &EventsWanted) -> Result<EventsRead, StoreError> {
        if let Some(after) = wanted.after
            && !self.log.reaches(after).await?
        {
            return Ok(EventsRead::BeyondTheEnd);
        }
        let until = Instant::now() + wanted.wait;
        let mut after = wanted.after;
        loop {
            let mut news = self.log.news();
            let read = self.look(after, wanted).await?;
            let EventsRead::Page(page) = &read else {
                return Ok(read);
            };
            let left = until.saturating_duration_since(Instant::now());
            if !page.events.is_empty() || left.is_zero() {
                return Ok(read);
            }
            after = Some(page.next);
            if !page.more {
                news.wait(left).await;
            }
        }
    }

    async fn look(
        &self,
        after: Option<LogPosition>,
        wanted: &EventsWanted,
    ) -> Result<EventsRead, StoreError> {
        let limit = usize::from(wanted.limit.get());
        let (mut after, mut looked_at) = (after, 0);
        let mut events = Vec::new();
        loop {
            let step = NonZeroU16::new(STEP).unwrap_or(NonZeroU16::MIN);
            let page = match self.log.read(after, step).await? {
                LogRead::Page(page) => page,
                // What was read so far is whole.
                LogRead::Pruned { oldest } if events.is_empty() => {
                    return Ok(EventsRead::Pruned { oldest });
                }
                LogRead::Pruned { .. } => {
                    let next = after.unwrap_or(LogPosition::START);
                    return Ok(page_of(events, next, true));
                }
            };
            looked_at += page.entries.len();
            for entries in page.entries.chunk_by(share_a_position) {
                if events.len() >= limit {
                    return Ok(page_of(events, after.unwrap_or(LogPosition::START), true));
                }
                let made = entries.iter().flat_map(events_of);
                events.extend(made.filter(|event| wanted.filter.passes(event)));
                after = entries.last().map(|last| last.position);
            }
            after = Some(page.next);
            let enough = events.len() >= limit || looked_at >= LOOKED_AT_MOST;
            if page.complete || enough {
                return Ok(page_of(events, page.next, !page.complete));
            }
        }
    }
}

fn share_a_position(one: &LogEntry, other: &LogEntry) -> bool {
    one.position == other.position
}

const fn page_of(events: Vec<MessageEvent>, next: LogPosition, more: bool) -> EventsRead {
    EventsRead::Page(EventsPage { events, next, more })
}
