//! Evidence about subscriptions.

use std::num::NonZeroU16;

use domain::Timestamp;
use domain::subscription::SubscriptionState;
use domain::trouble::rules::{SubscriptionLag, lagging, stopped};
use domain::trouble::{TroubleKey, TroubleKind, TroubleSubject};
use ports::{EventLog, StoreError, SubscriptionStore};

use super::findings::Findings;

/// Judges all subscriptions.
pub(super) async fn judge(
    store: &dyn SubscriptionStore,
    log: &dyn EventLog,
    now: Timestamp,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    for status in store.list().await? {
        let subscription = &status.subscription;
        let key = |kind| TroubleKey {
            kind,
            subject: TroubleSubject::Subscription(subscription.id),
        };
        let found = stopped(subscription.state, now);
        findings.add(key(TroubleKind::SubscriptionStopped), found);
        if subscription.state == SubscriptionState::Active {
            let waiting = log.count_after(status.position, NonZeroU16::MIN).await?;
            let lag = SubscriptionLag {
                oldest_at: waiting.since,
                failing_since: status.failing_since,
            };
            findings.add(key(TroubleKind::SubscriptionLagging), lagging(&lag, now));
        }
    }
    Ok(())
}
