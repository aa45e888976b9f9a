//! One look at the log for many who follow it.
//!
//! All who listen live stand at the end of the log and want the same next
//! reports: the store is asked for them once, and they are kept for a while. A
//! reader that is further back asks the store itself. So does everybody about
//! what was read a while ago: the log of an erased recipient is another one.

use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::{LogEntry, LogPosition, Timestamp};
use ports::event_log::{LogPage, LogRead, Remaining};
use ports::{EventLog, StoreError};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

/// How long the end of the log is believed to stay where it is, unless
/// something is recorded here: what other processes record is seen by then.
pub const POLL: Duration = Duration::from_millis(100);

/// How long what is being recorded may gather before it is read.
const GATHER: Duration = Duration::from_millis(15);

/// How many reports are read at once at the end of the log.
const STEP: NonZeroU16 = NonZeroU16::new(500).unwrap();

/// How many reports are kept for those who come a little later.
const KEPT: usize = 4_096;

/// How long they are kept at most.
const KEPT_FOR: Duration = Duration::from_secs(10);

/// A log that is followed by many.
pub struct LogTailCache {
    log: Arc<dyn EventLog>,
    recent: Mutex<Option<Recent>>,
    kept_for: Duration,
    news: watch::Sender<u64>,
    /// Held by the one reader that looks for what other processes record.
    poller: Arc<Mutex<()>>,
}

/// The end of the log: its entries behind `start` and up to `end`.
struct Recent {
    start: LogPosition,
    end: LogPosition,
    entries: VecDeque<LogEntry>,
    /// When which part of them was read, by its end.
    parts: VecDeque<(Instant, LogPosition)>,
    /// When the store was last asked, and what the news were then; `None` if
    /// there was more than it gave.
    looked: Option<(Instant, u64)>,
}

impl LogTailCache {
    /// Shares a log.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        Self {
            log,
            recent: Mutex::default(),
            kept_for: KEPT_FOR,
            news: watch::Sender::new(0),
            poller: Arc::default(),
        }
    }

    /// Keeps what was read for no longer than this.
    #[must_use]
    pub fn keeping_for(self, kept_for: Duration) -> Self {
        Self { kept_for, ..self }
    }

    /// Something was recorded in this process, so the log has a new end.
    pub fn recorded(&self) {
        self.news
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Something that was recorded before has changed: nothing is kept.
    pub async fn forget(&self) {
        *self.recent.lock().await = None;
    }

    /// Whether the log has come to a position. One that comes from outside may
    /// lie beyond its end, and its reader would miss what is recorded up to it.
    pub async fn reaches(&self, position: LogPosition) -> Result<bool, StoreError> {
        let kept = self.recent.lock().await;
        let known = kept.as_ref().is_some_and(|recent| position <= recent.end);
        drop(kept);
        // Another process may have recorded, and told of, what is not known here.
        Ok(known || position <= self.log.head().await?)
    }

    /// To be taken before reading: what is recorded afterwards ends the wait.
    #[must_use]
    pub fn news(&self) -> ChangeNotifier {
        ChangeNotifier {
            recorded: self.news.subscribe(),
            poller: Arc::clone(&self.poller),
        }
    }

    /// What is kept of the log behind `after`, and from the store what comes
    /// then. `None` if the kept part does not begin there.
    async fn read_end(
        &self,
        after: LogPosition,
        limit: NonZeroU16,
    ) -> Result<Option<LogRead>, StoreError> {
        let mut place = self.recent.lock().await;
        if let Some(recent) = place.as_mut() {
            recent.expire(self.kept_for);
        }
        if place.as_ref().is_none_or(|recent| after > recent.end) {
            // A position comes from outside: one beyond the end would have all the
            // others ask the store each for itself, for ever.
            if after > self.log.head().await? {
                return Ok(None);
            }
            // Nobody has read so far; whoever stands further back asks the store.
            *place = Some(Recent::beginning(after));
        }
        let Some(recent) = place.as_mut().filter(|recent| after >= recent.start) else {
            return Ok(None);
        };
        let is_at_end = after == recent.end;
        if is_at_end && let Some(read) = self.look(recent).await? {
            return Ok(Some(read));
        }
        let complete = if is_at_end {
            recent.looked.is_some()
        } else {
            self.is_fresh(recent)
        };
        Ok(Some(LogRead::Page(recent.behind(after, limit, complete))))
    }

    /// Whether the store was asked lately and had nothing more. A page that ends at an older
    /// end is not complete: its reader asks again from there.
    fn is_fresh(&self, recent: &Recent) -> bool {
        let news = *self.news.borrow();
        recent
            .looked
            .is_some_and(|(at, seen)| seen == news && at.elapsed() < POLL)
    }

    /// Asks the store what there is behind the end, if that may have changed.
    async fn look(&self, recent: &mut Recent) -> Result<Option<LogRead>, StoreError> {
        let mut told = false;
        if let Some((at, news)) = recent.looked {
            told = *self.news.borrow() != news;
            if !told && at.elapsed() < POLL {
                return Ok(None);
            }
            tokio::time::sleep_until(at + GATHER).await;
        }
        let mut news = *self.news.borrow();
        let page = match self.log.read(Some(recent.end), STEP).await? {
            LogRead::Page(page) => page,
            pruned @ LogRead::Pruned { .. } => return Ok(Some(pruned)),
        };
        recent.end = page.next;
        if !page.entries.is_empty() {
            recent.entries.extend(page.entries);
            recent.parts.push_back((Instant::now(), page.next));
            if !told {
                // Another process has recorded them, and those who wait do not know. What
                // is recorded here meanwhile makes a difference to what is expected.
                self.recorded();
                news = news.wrapping_add(1);
            }
        }
        recent.looked = page.complete.then(|| (Instant::now(), news));
        recent.trim();
        Ok(None)
    }
}

impl Recent {
    const fn beginning(at: LogPosition) -> Self {
        Self {
            start: at,
            end: at,
            entries: VecDeque::new(),
            parts: VecDeque::new(),
            looked: None,
        }
    }

    fn behind(&self, after: LogPosition, limit: NonZeroU16, complete: bool) -> LogPage {
        let first = self
            .entries
            .partition_point(|entry| entry.position <= after);
        let limit = usize::from(limit.get());
        let mut entries: Vec<LogEntry> = Vec::new();
        for entry in self.entries.range(first..) {
            let goes_on = entries
                .last()
                .is_some_and(|last| last.position == entry.position);
            if entries.len() >= limit && !goes_on {
                let next = entries.last().map_or(after, |last| last.position);
                return LogPage {
                    entries,
                    next,
                    complete: false,
                };
            }
            entries.push(entry.clone());
        }
        LogPage {
            entries,
            next: self.end,
            complete,
        }
    }

    /// Forgets what was read a while ago.
    fn expire(&mut self, kept_for: Duration) {
        while let Some((_, end)) = self
            .parts
            .pop_front_if(|(read_at, _)| read_at.elapsed() >= kept_for)
        {
            let old = self.entries.partition_point(|entry| entry.position <= end);
            self.entries.drain(..old);
            self.start = self.start.max(end);
        }
    }

    /// Forgets the oldest entries, never some of those that share a position.
    fn trim(&mut self) {
        while self.entries.len() > KEPT
            && let Some(oldest) = self.entries.pop_front()
        {
            self.start = oldest.position;
            while self
                .entries
                .front()
                .is_some_and(|next| next.position == self.start)
            {
                self.entries.pop_front();
            }
        }
    }
}

/// Waits for something to be recorded.
pub struct ChangeNotifier {
    recorded: watch::Receiver<u64>,
    poller: Arc<Mutex<()>>,
}

impl ChangeNotifier {
    /// Returns when there may be something new in the log, or after `at_most`.
    ///
    /// Other processes record too: of all that wait, one at a time returns after
    /// [`POLL`] to look for that, and wakes the others if there is something.
    pub async fn wait(&mut self, at_most: Duration) {
        let turn_to_look = async {
            let _turn = self.poller.lock().await;
            tokio::time::sleep(POLL).await;
        };
        tokio::select! {
            // It does not matter why the wait ends.
            _ = self.recorded.changed() => {}
            () = turn_to_look => {}
            () = tokio::time::sleep(at_most) => {}
        }
    }
}

#[async_trait]
impl EventLog for LogTailCache {
    async fn read(
        &self,
        after: Option<LogPosition>,
        limit: NonZeroU16,
    ) -> Result<LogRead, StoreError> {
        if let Some(after) = after
            && let Some(read) = self.read_end(after, limit).await?
        {
            return Ok(read);
        }
        self.log.read(after, limit).await
    }

    async fn head(&self) -> Result<LogPosition, StoreError> {
        self.log.head().await
    }

    async fn position_at(&self, moment: Timestamp) -> Result<LogPosition, StoreError> {
        self.log.position_at(moment).await
    }

    async fn behind(
        &self,
        position: LogPosition,
        at_most: NonZeroU16,
    ) -> Result<Remaining, StoreError> {
        self.log.behind(position, at_most).await
    }
}
