//! Reads the end of the log once for all live readers of a process.
//!
//! Live readers wait at the end of the log for the same reports, so the store is asked for them
//! once, and the answer is cached for a short time. A reader with an older position asks the store
//! itself. Cached reports expire quickly, because an erasure changes the log.

use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use domain::{LogEntry, LogPosition, Timestamp};
use ports::event_log::{LogPage, LogRead, Remaining};
use ports::{EventLog, StoreError};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

/// How long the end of the log is assumed not to move, unless this process records something.
/// Commits of other processes are seen within this time.
pub const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Minimum time between two reads at the end of the log: commits gather in between.
const MIN_READ_INTERVAL: Duration = Duration::from_millis(15);

/// Reports per read at the end of the log.
const READ_SIZE: NonZeroU16 = NonZeroU16::new(500).unwrap();

/// Reports that are cached for readers slightly behind the end.
const MAX_CACHED_REPORTS: usize = 4_096;

/// How long a report is cached.
const MAX_AGE: Duration = Duration::from_secs(10);

/// A log whose end is cached.
pub struct LogTailCache {
    log: Arc<dyn EventLog>,
    window: Mutex<Option<Window>>,
    max_age: Duration,
    /// Counts the commits that are known here.
    commits: watch::Sender<u64>,
    /// Held by the one reader that polls for commits of other processes.
    poller: Arc<Mutex<()>>,
}

/// The cached end of the log: its entries after `start` and up to `end`.
struct Window {
    start: LogPosition,
    end: LogPosition,
    entries: VecDeque<LogEntry>,
    /// The end of each read, and when it was made.
    reads: VecDeque<(Instant, LogPosition)>,
    /// When the store last had nothing after `end`, and the commits known then.
    complete_at: Option<(Instant, u64)>,
}

impl LogTailCache {
    /// Caches the end of `log`.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        Self {
            log,
            window: Mutex::default(),
            max_age: MAX_AGE,
            commits: watch::Sender::new(0),
            poller: Arc::default(),
        }
    }

    /// Caches reports for at most `max_age`.
    #[must_use]
    pub fn with_max_age(self, max_age: Duration) -> Self {
        Self { max_age, ..self }
    }

    /// Wakes all waiting readers after a commit of this process.
    pub fn notify(&self) {
        self.commits
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Drops all cached reports, because reports in the log were changed.
    pub async fn invalidate(&self) {
        *self.window.lock().await = None;
    }

    /// Returns whether the log extends to `position`. A reader at a position beyond its end would
    /// miss the reports recorded up to there.
    pub async fn reaches(&self, position: LogPosition) -> Result<bool, StoreError> {
        let window = self.window.lock().await;
        let cached = window.as_ref().is_some_and(|window| position <= window.end);
        drop(window);
        // Another process may have recorded more than is known here.
        Ok(cached || position <= self.log.head().await?)
    }

    /// Returns a notifier of later commits. Create it before reading, so that no commit is missed.
    #[must_use]
    pub fn changes(&self) -> ChangeNotifier {
        ChangeNotifier {
            commits: self.commits.subscribe(),
            poller: Arc::clone(&self.poller),
        }
    }

    /// Returns the cached reports after `after`, and reads on from the store at their end. `None`
    /// if `after` is before the window.
    async fn read_window(
        &self,
        after: LogPosition,
        limit: NonZeroU16,
    ) -> Result<Option<LogRead>, StoreError> {
        let mut cached = self.window.lock().await;
        if let Some(window) = cached.as_mut() {
            window.expire(self.max_age);
        }
        if cached.as_ref().is_none_or(|window| after > window.end) {
            // Positions come from clients: a window beyond the end of the log would send all
            // other readers to the store.
            if after > self.log.head().await? {
                return Ok(None);
            }
            *cached = Some(Window::starting_at(after));
        }
        let Some(window) = cached.as_mut().filter(|window| after >= window.start) else {
            return Ok(None);
        };
        let is_at_end = after == window.end;
        if is_at_end && let Some(pruned) = self.extend(window).await? {
            return Ok(Some(pruned));
        }
        let complete = if is_at_end {
            window.complete_at.is_some()
        } else {
            self.is_fresh(window)
        };
        Ok(Some(LogRead::Page(window.page(after, limit, complete))))
    }

    /// Returns whether the store had nothing after the window a moment ago. A page that ends at an
    /// older end is not complete: its reader asks again from there.
    fn is_fresh(&self, window: &Window) -> bool {
        let commits = *self.commits.borrow();
        window
            .complete_at
            .is_some_and(|(at, known)| known == commits && at.elapsed() < POLL_INTERVAL)
    }

    /// Reads what follows the window from the store, unless nothing can have changed.
    async fn extend(&self, window: &mut Window) -> Result<Option<LogRead>, StoreError> {
        let mut notified = false;
        if let Some((at, known)) = window.complete_at {
            notified = *self.commits.borrow() != known;
            if !notified && at.elapsed() < POLL_INTERVAL {
                return Ok(None);
            }
            tokio::time::sleep_until(at + MIN_READ_INTERVAL).await;
        }
        let mut commits = *self.commits.borrow();
        let page = match self.log.read(Some(window.end), READ_SIZE).await? {
            LogRead::Page(page) => page,
            pruned @ LogRead::Pruned { .. } => return Ok(Some(pruned)),
        };
        window.end = page.next;
        if !page.entries.is_empty() {
            window.entries.extend(page.entries);
            window.reads.push_back((Instant::now(), page.next));
            if !notified {
                // Another process recorded these reports: wake the other readers. A commit of this
                // process in between still counts as unknown.
                self.notify();
                commits = commits.wrapping_add(1);
            }
        }
        window.complete_at = page.complete.then(|| (Instant::now(), commits));
        window.trim();
        Ok(None)
    }
}

impl Window {
    const fn starting_at(position: LogPosition) -> Self {
        Self {
            start: position,
            end: position,
            entries: VecDeque::new(),
            reads: VecDeque::new(),
            complete_at: None,
        }
    }

    /// Returns the entries after `after`: `limit` of them, and more only to keep entries of one
    /// position together.
    fn page(&self, after: LogPosition, limit: NonZeroU16, complete: bool) -> LogPage {
        let first = self
            .entries
            .partition_point(|entry| entry.position <= after);
        let limit = usize::from(limit.get());
        let mut entries: Vec<LogEntry> = Vec::new();
        for entry in self.entries.range(first..) {
            let last = entries.last().map(|last| last.position);
            if entries.len() >= limit && last != Some(entry.position) {
                return LogPage {
                    entries,
                    next: last.unwrap_or(after),
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

    /// Drops what was read longer than `max_age` ago.
    fn expire(&mut self, max_age: Duration) {
        while let Some((_, end)) = self
            .reads
            .pop_front_if(|(read_at, _)| read_at.elapsed() >= max_age)
        {
            let old = self.entries.partition_point(|entry| entry.position <= end);
            self.entries.drain(..old);
            self.start = self.start.max(end);
        }
    }

    /// Drops the oldest entries beyond the size of the cache, all entries of a position together.
    fn trim(&mut self) {
        while self.entries.len() > MAX_CACHED_REPORTS
            && let Some(oldest) = self.entries.pop_front()
        {
            self.start = oldest.position;
            let same = self
                .entries
                .partition_point(|next| next.position == oldest.position);
            self.entries.drain(..same);
        }
    }
}

/// Waits for commits.
pub struct ChangeNotifier {
    commits: watch::Receiver<u64>,
    poller: Arc<Mutex<()>>,
}

impl ChangeNotifier {
    /// Returns when the log may have changed, or after `at_most`.
    ///
    /// Other processes commit too. Of all waiting readers, one at a time returns after
    /// [`POLL_INTERVAL`] and reads; if it finds reports, it wakes the others.
    pub async fn wait(&mut self, at_most: Duration) {
        let poll = async {
            let _turn = self.poller.lock().await;
            tokio::time::sleep(POLL_INTERVAL).await;
        };
        tokio::select! {
            // It does not matter why the wait ends.
            _ = self.commits.changed() => {}
            () = poll => {}
            () = tokio::time::sleep(at_most) => {}
        }
    }
}

impl LogTailCache {
    /// Reads like [`EventLog::read`], from the cache if it has the position.
    pub async fn read(
        &self,
        after: Option<LogPosition>,
        limit: NonZeroU16,
    ) -> Result<LogRead, StoreError> {
        if let Some(after) = after
            && let Some(read) = self.read_window(after, limit).await?
        {
            return Ok(read);
        }
        self.log.read(after, limit).await
    }

    /// See [`EventLog::head`].
    pub async fn head(&self) -> Result<LogPosition, StoreError> {
        self.log.head().await
    }

    /// See [`EventLog::seek`].
    pub async fn seek(&self, moment: Timestamp) -> Result<LogPosition, StoreError> {
        self.log.seek(moment).await
    }

    /// See [`EventLog::count_after`].
    pub async fn count_after(
        &self,
        position: LogPosition,
        at_most: NonZeroU16,
    ) -> Result<Remaining, StoreError> {
        self.log.count_after(position, at_most).await
    }
}
