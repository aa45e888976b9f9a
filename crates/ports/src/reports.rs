//! The log of reports and the messages that follow from it.

use async_trait::async_trait;
use domain::{
    Effect, LoggedReport, Message, MessageKey, Report,
    page::{MessageCursor, MessageFilter, Page, PageSize},
};

use crate::StoreError;

/// Keeps every report, and the state of every message as the reports tell it.
#[async_trait]
pub trait ReportStore: Send + Sync {
    /// Records a batch, whole or not at all, and says in the same order what
    /// each report did. It is durable when this returns `Ok`.
    ///
    /// - The state of every message is afterwards what [`Message::absorb`] says,
    ///   whatever other writers do at the same time, and whichever messages
    ///   stand in the batch more than once.
    /// - A report that is a duplicate ([`Effect::Duplicate`]) is counted, not
    ///   logged again. So recording a batch twice, for instance after
    ///   [`StoreError::Unavailable`], doubles nothing.
    /// - [`StoreError::Rejected`] says that at least one report will never be
    ///   taken; see [`record_by_halves`].
    /// - [`StoreError::Locked`] says that another session holds the rows of some
    ///   of the messages; [`locked`](Self::locked) says of which.
    async fn record(&self, reports: &[Report]) -> Result<Vec<Effect>, StoreError>;

    /// Returns for each report, in the same order, whether another session holds
    /// a lock on the row of its message now. Asked after [`StoreError::Locked`];
    /// a store whose rows cannot be locked one by one never says so.
    async fn locked(&self, reports: &[Report]) -> Result<Vec<bool>, StoreError> {
        Ok(vec![false; reports.len()])
    }

    /// A message with those of its reports that are in the log, in the order in
    /// which they were recorded. Retention may have removed some or all of them;
    /// the message itself still tells what they said.
    async fn message(&self, key: &MessageKey) -> Result<Option<MessageWithReports>, StoreError>;

    /// The messages that a filter lets through, the one first heard of last
    /// first, those of the same microsecond by key, descending: channel first,
    /// then sid by its compact form.
    async fn messages(
        &self,
        filter: &MessageFilter,
        after: Option<&MessageCursor>,
        size: PageSize,
    ) -> Result<Page<Message, MessageCursor>, StoreError>;

    /// Answers if the store could record a report now.
    async fn ping(&self) -> Result<(), StoreError>;

    /// What about the store may undo, when its machine crashes, what was durable;
    /// in words, `None` if nothing is known.
    async fn durability_warning(&self) -> Result<Option<String>, StoreError> {
        Ok(None)
    }
}

/// A message and the reports that led there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageWithReports {
    /// The message.
    pub message: Message,
    /// Its reports, as far as they are kept, in the order in which they were
    /// recorded.
    pub reports: Vec<LoggedReport>,
}

/// What came of one report of a batch that was recorded by halves.
#[derive(Debug)]
pub enum Recorded {
    /// It is in the store, and this is what it did.
    Durable(Effect),
    /// The store will never take it.
    Refused(StoreError),
    /// Another session holds the row of its message; it may be recorded later.
    Locked,
}

impl Recorded {
    /// Whether the store refused every report of a batch and took none. The
    /// cause may be the store then, not the reports.
    #[must_use]
    pub fn are_all_refused(outcomes: &[Self]) -> bool {
        let refused = |outcome: &Self| matches!(outcome, Self::Refused(_));
        let taken = |outcome: &Self| matches!(outcome, Self::Durable(_));
        outcomes.iter().any(refused) && !outcomes.iter().any(taken)
    }
}

/// Records a batch. If the store refuses it, bisects it until each report that
/// the store will never take stands alone; if another session holds rows of some
/// messages, records the others. A bad report or a locked row costs the other
/// reports a few more statements and nothing else.
///
/// Fails if the store is unavailable or corrupt, or if other locks than those
/// of single messages hold it up. Some of the reports may be recorded then;
/// recording all of them again is harmless.
pub async fn record_by_halves(
    store: &dyn ReportStore,
    reports: &[Report],
) -> Result<Vec<Recorded>, StoreError> {
    match bisect(store, reports).await {
        Err(StoreError::Locked(_)) => record_unlocked(store, reports).await,
        recorded => recorded,
    }
}

/// Records the reports whose messages no other session holds now.
async fn record_unlocked(
    store: &dyn ReportStore,
    reports: &[Report],
) -> Result<Vec<Recorded>, StoreError> {
    let locked = store.locked(reports).await?;
    let unlocked: Vec<_> = reports
        .iter()
        .zip(&locked)
        .filter(|(_, locked)| !**locked)
        .map(|(report, _)| report.clone())
        .collect();
    let mut recorded = bisect(store, &unlocked).await?.into_iter();
    let outcomes = locked.into_iter().map(|locked| {
        if locked {
            Recorded::Locked
        } else {
            recorded.next().unwrap_or(Recorded::Locked)
        }
    });
    Ok(outcomes.collect())
}

async fn bisect(store: &dyn ReportStore, reports: &[Report]) -> Result<Vec<Recorded>, StoreError> {
    let mut outcomes = Vec::with_capacity(reports.len());
    // The parts that are still to be recorded, the first one last.
    let mut parts = vec![reports];
    while let Some(part) = parts.pop() {
        match store.record(part).await {
            Ok(effects) => outcomes.extend(effects.into_iter().map(Recorded::Durable)),
            Err(refused @ StoreError::Rejected { .. }) if part.len() <= 1 => {
                outcomes.push(Recorded::Refused(refused));
            }
            Err(StoreError::Rejected { .. }) => {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([second, first]);
            }
            Err(failed) => return Err(failed),
        }
    }
    Ok(outcomes)
}
