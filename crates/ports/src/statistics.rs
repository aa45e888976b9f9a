//! Counts per channel and interval, maintained by a reader of the report log.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use async_trait::async_trait;
use domain::crypto::{RecipientHash, ServerSecret};
use domain::page::{MessageCursor, MessageFilter, Page, PageSize, ScanLimit};
use domain::retention_days::DAY_MICROS;
use domain::statistics::{Counts, Interval, MessageCell, MessageSummary, StatusChange};
use domain::{
    Address, ChannelId, ErrorCode, LogPosition, Message, MessageKey, Recipient, Timestamp,
};
use uuid::Uuid;

use crate::StoreError;

/// Stores statistics, and reads from the log what they are made from.
///
/// Several processes may maintain the statistics at once: each step names the position that it
/// starts from, so only one of them applies it, and the others read again.
#[async_trait]
pub trait Statistics: Send + Sync {
    /// Returns the reports after a position, reduced to what statistics need, in the order of the
    /// log. The reports of a message may be out of the order of their revisions. `None` reads from
    /// the oldest report.
    ///
    /// Continuing after [`ChangePage::next`] returns every report once, like
    /// [`EventLog::read`](crate::EventLog::read).
    async fn changes(
        &self,
        after: Option<LogPosition>,
        limit: NonZeroU16,
    ) -> Result<ChangePage, StoreError>;

    /// Summarises messages by their reports before a position each. A message without any is
    /// absent from the result. Reports that retention has removed are known from what their message
    /// stores about the time before the report at the position arrived.
    async fn summaries(
        &self,
        before: &[StatusChange],
    ) -> Result<Vec<(MessageKey, MessageSummary)>, StoreError>;

    /// Returns when the last counted report of each of `channels` arrived. A channel without one is
    /// absent.
    async fn last_arrivals(
        &self,
        channels: &[ChannelId],
    ) -> Result<BTreeMap<ChannelId, Timestamp>, StoreError>;

    /// Returns up to where statistics were applied; `None` if never.
    async fn statistics_position(&self) -> Result<Option<LogPosition>, StoreError>;

    /// Returns a position that no report recorded so far is after. Unlike
    /// [`head`](crate::EventLog::head), reports up to it may have to wait for others before they are
    /// read.
    async fn log_end(&self) -> Result<LogPosition, StoreError>;

    /// Returns whose days are counted; `None` if that was never set.
    async fn statistics_days(&self) -> Result<Option<StatisticsDays>, StoreError>;

    /// Replaces `from`, whose days are counted, by `to`, and makes a day from its quarters of an
    /// hour, both or neither. Returns `false` and changes nothing if it is not `from`: another
    /// process has changed it.
    async fn change_days(
        &self,
        from: Option<&StatisticsDays>,
        to: &StatisticsDays,
        made: Option<&MadeDay>,
    ) -> Result<bool, StoreError>;

    /// Returns the first and the last start of an interval of a length; `None` if there are none.
    async fn interval_bounds(
        &self,
        interval: Interval,
    ) -> Result<Option<(Timestamp, Timestamp)>, StoreError>;

    /// Adds a step to the counts, replaces the last arrivals of its channels, lists its problems
    /// and its recipients, and moves the position from `from` to `step.position`, all or nothing.
    /// Returns `false` and changes nothing
    ///
    /// - if the position is not `from`, because another process has applied a step,
    /// - if days of another time zone are counted, or days are being made,
    /// - if an erasure has finished since the page was read: the step could list its recipient.
    async fn apply_statistics(
        &self,
        from: Option<LogPosition>,
        step: &StatisticsStep,
    ) -> Result<bool, StoreError>;

    /// Adds counts that are not from the log, and leaves the position alone.
    async fn add_statistics(&self, changes: &IntervalCounts) -> Result<(), StoreError>;

    /// Adds a batch of counts that are not from the log, unless it was added before: a batch whose
    /// outcome is unknown can be repeated. Returns whether it was added. The batches of a writer
    /// are added in the order of their numbers; a writer that added nothing in the 30 days before
    /// another batch was taken is forgotten.
    async fn add_batch(&self, batch: &CountedBatch) -> Result<bool, StoreError>;

    /// Adds messages to the list of problems, or replaces their entries. One that is not stored, or
    /// no longer, is left out.
    async fn list_problems(&self, problems: &[ProblemMessage]) -> Result<(), StoreError>;

    /// Returns one page of the messages that `filter` selects, the newest first, like
    /// [`ReportStore::messages`](crate::ReportStore::messages), and reads only the list of problems
    /// and their messages, `scan` at most. `filter` must be one that
    /// [selects problems](MessageFilter::selects_problems). A message that has changed since its
    /// entry was made may be missing. The entry of a message is removed with it.
    async fn problem_messages(
        &self,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: PageSize,
        scan: ScanLimit,
    ) -> Result<Page<Message, MessageCursor>, StoreError>;

    /// Adds messages to the index of recipients. An entry that exists stays; one of a message that
    /// is not stored, or whose recipient is erased, is left out. The end of an erasure removes the
    /// entries of its recipient.
    async fn list_recipients(&self, entries: &[RecipientEntry]) -> Result<(), StoreError>;

    /// Returns one page of the messages that `filter` selects, the newest first, like
    /// [`ReportStore::messages`](crate::ReportStore::messages), and reads only those that are
    /// listed with `hash`. If `filter` selects by recipient, it decides about those that share the
    /// hash.
    async fn messages_to(
        &self,
        hash: RecipientHash,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: PageSize,
    ) -> Result<Page<Message, MessageCursor>, StoreError>;

    /// Removes at most about `limit` entries of the index of recipients: those of days before that
    /// of the oldest message. Returns how many; 0 if there are no more.
    async fn prune_recipients(&self, limit: NonZeroU16) -> Result<u64, StoreError>;

    /// Removes what the log and the messages can tell again, the position and the last arrivals, in
    /// one step: the counts of messages, and those of reports and of the gaps between them in the
    /// interval of the first report of the log and later ones (`None`: all). Counts of requests
    /// stay.
    async fn reset_statistics(&self, log_begins: Option<LogBegins>) -> Result<(), StoreError>;

    /// Returns the counts of intervals that start at `range.from` or later and before
    /// `range.until`, by start and channel. Intervals without counts are absent.
    async fn read_statistics(
        &self,
        range: &StatisticsRange,
    ) -> Result<Vec<StatisticsRow>, StoreError>;

    /// Removes at most `limit` rows of intervals of a length that start before a time, and returns
    /// how many it removed.
    async fn prune_statistics(
        &self,
        interval: Interval,
        before: Timestamp,
        limit: NonZeroU16,
    ) -> Result<u64, StoreError>;
}

/// A part of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangePage {
    /// Its reports.
    pub changes: Vec<StatusChange>,
    /// Where to continue; where the page was read from if there is nothing more.
    pub next: LogPosition,
    /// Whether there was nothing more to return.
    pub complete: bool,
    /// Whether retention has removed reports after the position that was asked for. Then the page
    /// starts at the oldest report.
    pub pruned: bool,
    /// How many erasures had finished before it was read.
    pub erasures: i64,
}

/// Changes of counts by the length of the interval, its start and the channel.
pub type IntervalCounts = BTreeMap<(Interval, Timestamp, ChannelId), Counts>;

/// Counts of one process since its batch before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedBatch {
    /// The process.
    pub writer: Uuid,
    /// Counts the batches of the process, from 1.
    pub number: i64,
    /// When the process took the counts.
    pub taken_at: Timestamp,
    /// The counts.
    pub counts: IntervalCounts,
}

impl CountedBatch {
    /// Returns the time before which a writer must have added its last batch to be forgotten.
    #[must_use]
    pub fn forget_before(&self) -> Timestamp {
        self.taken_at.plus_micros(-30 * 24 * 60 * 60 * 1_000_000)
    }
}

/// Whose days are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatisticsDays {
    /// The time zone.
    pub zone: String,
    /// Earlier days are those of another time zone; `None` if all are those of this one.
    pub since: Option<Timestamp>,
    /// The next day to make from its quarters of an hour; `None` if all are made. Until then no
    /// step is applied.
    pub next: Option<Timestamp>,
}

/// A day that is made from its quarters of an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MadeDay {
    /// Its start.
    pub start: Timestamp,
    /// Its end.
    pub until: Timestamp,
    /// Days that begin at this time or later, and before `until`, are replaced.
    pub replaces_from: Timestamp,
}

/// What a part of the log changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatisticsStep {
    /// Where the part ends: reports up to here are counted.
    pub position: LogPosition,
    /// The time zone of the days in `counts`.
    pub zone: String,
    /// The changes of counts.
    pub counts: IntervalCounts,
    /// When the last report of each channel of this part, or of an earlier one, arrived.
    pub last_arrivals: BTreeMap<ChannelId, Timestamp>,
    /// The messages of this part that failed, as they are after it.
    pub problems: Vec<ProblemMessage>,
    /// The recipients of the messages that begin in this part.
    pub recipients: Vec<RecipientEntry>,
    /// [`ChangePage::erasures`] of the page that it was made from.
    pub erasures: i64,
}

/// An entry of the index of recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientEntry {
    /// The message.
    pub key: MessageKey,
    /// The hash of its recipient.
    pub hash: RecipientHash,
    /// The day of its first report, in days since 1970 (UTC). Entries lie by day in the index.
    pub day: i32,
}

impl RecipientEntry {
    /// Returns the entry of a message whose first report arrived `at`; `None` if its recipient is
    /// erased, or cannot be searched for.
    #[must_use]
    pub fn of(
        key: &MessageKey,
        recipient: &Address,
        at: Timestamp,
        secret: &ServerSecret,
    ) -> Option<Self> {
        let day = at.unix_micros().div_euclid(DAY_MICROS);
        let recipient = Recipient::parse(recipient.reveal()).ok()?;
        Some(Self {
            key: key.clone(),
            hash: secret.recipient_hash(&recipient),
            day: i32::try_from(day).ok()?,
        })
    }
}

/// An entry of the list of problems: a message that failed, which its other reports may contradict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProblemMessage {
    /// The message.
    pub key: MessageKey,
    /// When its first report arrived.
    pub first_reported_at: Timestamp,
    /// The highest reported status, and whether its reports contradict each other.
    pub cell: MessageCell,
    /// The code of its error.
    pub error_code: Option<ErrorCode>,
}

impl ProblemMessage {
    /// Returns the entry of a message; `None` if it did not fail.
    #[must_use]
    pub fn of(key: &MessageKey, message: &MessageSummary) -> Option<Self> {
        message.is_problem().then(|| Self {
            key: key.clone(),
            first_reported_at: message.first_reported_at(),
            cell: message.cell(),
            error_code: message.error_code().cloned(),
        })
    }
}

/// The intervals in which the first report of the log arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogBegins {
    /// The start of the quarter of an hour.
    pub quarter_hour: Timestamp,
    /// The start of the day.
    pub day: Timestamp,
}

impl LogBegins {
    /// Returns the start of the interval of a length.
    #[must_use]
    pub const fn in_interval(&self, interval: Interval) -> Timestamp {
        match interval {
            Interval::QuarterHour => self.quarter_hour,
            Interval::Day => self.day,
        }
    }
}

/// Which counts to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatisticsRange {
    /// The length of the intervals.
    pub interval: Interval,
    /// The first start.
    pub from: Timestamp,
    /// After the last start.
    pub until: Timestamp,
    /// One channel; `None`: all.
    pub channel: Option<ChannelId>,
}

/// The counts of one channel in one interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatisticsRow {
    /// The start of the interval.
    pub start: Timestamp,
    /// The channel.
    pub channel: ChannelId,
    /// The counts.
    pub counts: Counts,
}
