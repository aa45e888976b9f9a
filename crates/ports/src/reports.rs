//! The log of reports and the messages that follow from it.

use std::num::NonZeroU16;

use async_trait::async_trait;
use domain::{
    ChannelId, Effect, LoggedReport, Message, MessageKey, MessageSid, Report,
    page::{MessageCursor, MessageFilter, Page, PageSize, ScanLimit},
};

use crate::StoreError;

/// Stores every report, and the state of every message that follows from them.
#[async_trait]
pub trait ReportStore: Send + Sync {
    /// Records a batch atomically and returns the effect of each report, in the same order. The
    /// batch is durable when this returns `Ok`.
    ///
    /// - Afterwards the state of every message is what [`Message::absorb`] defines, whatever other
    ///   writers do at the same time, also for messages with several reports in the batch.
    /// - A duplicate report ([`Effect::Duplicate`]) is counted and not logged again. So recording a
    ///   batch twice, for instance after [`StoreError::Unavailable`], doubles nothing.
    /// - A report on an [alias](domain::alias) of another message is joined to that message if the
    ///   alias is known, also from the same batch. Otherwise it belongs to a message of its own,
    ///   which is never merged. Erasing or removing a message removes its aliases.
    /// - [`StoreError::Rejected`]: the store will never accept at least one of the reports. The
    ///   caller bisects the batch to find it.
    /// - [`StoreError::Locked`]: another session holds the rows of some of the messages;
    ///   [`locked`](Self::locked) tells which.
    async fn record(&self, reports: &[Report]) -> Result<Vec<Effect>, StoreError>;

    /// Returns for each report, in the same order, whether another session holds a lock on the row
    /// of its message now. Called after [`StoreError::Locked`]; always `false` on a store without
    /// row locks.
    async fn locked(&self, reports: &[Report]) -> Result<Vec<bool>, StoreError> {
        Ok(vec![false; reports.len()])
    }

    /// Returns a message with those of its reports that are in the log, in the order in which they
    /// were recorded. Retention may have removed some or all of them; the message still has the
    /// state that they led to.
    async fn message(&self, key: &MessageKey) -> Result<Option<MessageWithReports>, StoreError>;

    /// Returns a page of the messages that match a filter, the most recently first reported one
    /// first; those of the same microsecond by key, descending: channel first, then sid in its
    /// compact form.
    ///
    /// Examines no more than `scan` messages. If these have fewer than `size` matches, the page
    /// ends after them, and its `next` is the last one examined.
    async fn messages(
        &self,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: PageSize,
        scan: ScanLimit,
    ) -> Result<Page<Message, MessageCursor>, StoreError>;

    /// Returns how many messages of a channel are separate: reports on an alias of another message
    /// arrived before the alias was known. Examines at most `aliases` of the channel's aliases, in
    /// any order, so the number is a minimum if there are more.
    async fn separate_messages(
        &self,
        channel: &ChannelId,
        aliases: NonZeroU16,
    ) -> Result<u64, StoreError>;

    /// Returns `Ok` if the store could record a report now.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Returns a warning if the server's settings (such as `fsync = off`) can lose committed data
    /// in a crash.
    async fn durability_warning(&self) -> Result<Option<String>, StoreError> {
        Ok(None)
    }
}

/// A message and its reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageWithReports {
    /// The message.
    pub message: Message,
    /// The id of the same message, if it turned out that this one is its alias: see
    /// [`domain::alias`].
    pub alias_of: Option<MessageSid>,
    /// Its reports that are still in the log, in the order in which they were recorded.
    pub reports: Vec<LoggedReport>,
}
