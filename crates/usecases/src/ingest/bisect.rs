//! Recording a batch of which the store may refuse or delay single reports.

use domain::{Effect, Report};
use ports::{ReportStore, StoreError};

/// The outcome of one report of a batch.
#[derive(Debug)]
pub enum Recorded {
    /// It is in the store and had this effect.
    Durable(Effect),
    /// The store will never accept it.
    Refused(StoreError),
    /// Another session holds the row of its message; it may be recorded later.
    Locked,
}

impl Recorded {
    /// Returns whether the store refused at least one report of a batch and recorded none. The
    /// cause may be the store then, not the reports.
    #[must_use]
    pub fn are_all_refused(outcomes: &[Self]) -> bool {
        let refused = |outcome: &Self| matches!(outcome, Self::Refused(_));
        let durable = |outcome: &Self| matches!(outcome, Self::Durable(_));
        outcomes.iter().any(refused) && !outcomes.iter().any(durable)
    }
}

/// Records a batch and returns the outcome of each report, in the same order. If the store refuses
/// the batch, bisects it until each report that the store will never accept is alone; if another
/// session holds rows of some messages, records the others. So a bad report or a locked row costs
/// the other reports a few more statements and nothing else.
///
/// Fails if the store is unavailable or corrupt, or if other locks than those of single messages
/// delay it. Some of the reports may be recorded then; recording all of them again is harmless.
pub async fn record_bisecting(
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
    // A stack of the parts that are not recorded yet, the first part on top.
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
