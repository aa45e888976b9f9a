//! Reports that wait in the journal of a receiver.

use crate::Timestamp;
use crate::trouble::Finding;

/// How long a journal is found after its last use: 5 minutes. While the database is unavailable
/// nothing can be found, so receivers report the use afterwards.
pub const JOURNAL_SHOWN_MICROS: i64 = 5 * 60 * 1_000_000;

/// The use of the journal of one receiver, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalUse {
    /// The name of the receiver.
    pub receiver: String,
    /// How many reports wait in it.
    pub entries: u64,
    /// Since when it is in use.
    pub since: Timestamp,
    /// When it was last in use.
    pub last_used_at: Timestamp,
}

/// Finds journals that are in use, or were in the last five minutes.
#[must_use]
pub fn journal_in_use(journals: &[JournalUse], now: Timestamp) -> Option<Finding> {
    let recent = now.plus_micros(-JOURNAL_SHOWN_MICROS);
    let used: Vec<_> = journals
        .iter()
        .filter(|journal| journal.last_used_at >= recent)
        .collect();
    let since = used.iter().map(|journal| journal.since).min()?;
    let waiting: u64 = used.iter().map(|journal| journal.entries).sum();
    let receivers = match used.as_slice() {
        [only] => format!("Receiver {} wrote", only.receiver),
        several => format!("{} receivers wrote", several.len()),
    };
    Some(Finding {
        since,
        seen: format!("{receivers} to the journal; {waiting} reports wait in it."),
    })
}
