//! A reader that follows a log and checks every page.

use std::collections::HashMap;
use std::num::NonZeroU16;
use std::time::Duration;

use domain::{LogEntry, LogPosition, MessageKey, MessageState};
use ports::EventLog;
use ports::event_log::{LogPage, LogRead};

/// The next page, which nothing is missing before.
pub async fn page(log: &dyn EventLog, after: Option<LogPosition>, limit: u16) -> LogPage {
    let limit = NonZeroU16::new(limit).expect("at least one");
    match log.read(after, limit).await.expect("the log can be read") {
        LogRead::Page(page) => page,
        LogRead::Pruned { oldest } => panic!("pruned through {oldest}, read after {after:?}"),
    }
}

/// Follows a log from its beginning, and fails when an entry comes twice, out
/// of order, or with another state before it than its predecessors left.
#[derive(Debug, Default)]
pub struct Reader {
    /// The entries read so far.
    pub entries: Vec<LogEntry>,
    after: Option<LogPosition>,
    messages: HashMap<MessageKey, (i64, MessageState)>,
}

impl Reader {
    /// Reads one page. Returns whether it was the last.
    pub async fn step(&mut self, log: &dyn EventLog, limit: u16) -> bool {
        let page = page(log, self.after, limit).await;
        assert!(self.after.is_none_or(|after| after <= page.next));
        assert!(
            self.after.is_none_or(|after| after < page.next) || page.entries.is_empty(),
            "a reader gets on"
        );
        for entry in page.entries {
            assert!(Some(entry.position) > self.after && entry.position <= page.next);
            let last = self.entries.last();
            assert!(last.is_none_or(|last| last.position <= entry.position));
            let key = entry.report.report.key.clone();
            let (revision, state) = self.messages.entry(key).or_default();
            *revision += 1;
            assert_eq!(entry.report.revision, *revision, "{entry:#?}");
            assert_eq!(&entry.before, state, "{entry:#?}");
            *state = entry.after();
            self.entries.push(entry);
        }
        self.after = Some(page.next);
        page.complete
    }

    /// Reads until it has this many entries; recent ones may not be readable yet.
    pub async fn until(&mut self, log: &dyn EventLog, count: usize, limit: u16) {
        while self.entries.len() < count {
            if self.step(log, limit).await {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        assert_eq!(self.entries.len(), count);
    }

    /// Reads the first `count` entries of a log in pages of `limit`.
    pub async fn read(log: &dyn EventLog, count: usize, limit: u16) -> Self {
        let mut reader = Self::default();
        reader.until(log, count, limit).await;
        reader
    }
}
