//! Messages that are sent and not delivered.

use crate::statistics::{BUCKETS, Counts, Histogram, MessageCell};
use crate::trouble::Finding;
use crate::{DeliveryStatus, Timestamp};

use super::{MIN_COUNT, percent, share};

/// Messages that are not delivered an hour after their first report are stuck.
pub const STUCK_AFTER_SECONDS: f64 = 3_600.0;

/// How many times the usual share of messages must be stuck.
const TIMES_USUAL: f64 = 2.0;

/// The share of messages that is never found, whatever is usual.
const LEAST_SHARE: f64 = 0.03;

/// How many messages were at *sent* an hour after their first report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SentMessages {
    /// How many were stuck.
    pub stuck: i64,
    /// How many there are.
    pub all: i64,
}

/// Counts the messages that were at *sent* an hour after their first report: those that still are,
/// and those that were delivered later.
#[must_use]
pub fn sent_messages(counts: &Counts) -> SentMessages {
    let sent = MessageCell {
        status: Some(DeliveryStatus::Sent),
        contradicted: false,
    };
    let still = counts.messages.get(&sent).copied().unwrap_or_default();
    let is_late = |bucket: u8| {
        // The buckets whose lower limit is an hour or more.
        let lower = bucket.checked_sub(1).and_then(Histogram::limit_seconds);
        bucket < BUCKETS && lower.is_some_and(|lower| lower >= STUCK_AFTER_SECONDS)
    };
    let late = counts.time_to_delivered.buckets();
    let late: i64 = late
        .filter(|(bucket, _)| is_late(*bucket))
        .map(|(_, count)| count)
        .sum();
    SentMessages {
        stuck: still.saturating_add(late),
        all: counts.total_messages(),
    }
}

/// Finds a channel in which twice as many messages as usual are stuck, if something is usual.
/// `recent` are messages that were first reported more than an hour ago, from `since` on.
#[must_use]
pub fn stuck_at_sent(
    recent: SentMessages,
    usual: SentMessages,
    since: Timestamp,
) -> Option<Finding> {
    let share_now = share(recent.stuck, recent.all);
    let share_usual = share(usual.stuck, usual.all);
    if recent.stuck < MIN_COUNT
        || usual.all < MIN_COUNT
        || share_now < LEAST_SHARE
        || share_now < TIMES_USUAL * share_usual
    {
        return None;
    }
    let seen = format!(
        "{} of {} messages ({}) were not delivered within an hour; {} in the seven days before.",
        recent.stuck,
        recent.all,
        percent(recent.stuck, recent.all),
        percent(usual.stuck, usual.all),
    );
    Some(Finding { since, seen })
}
