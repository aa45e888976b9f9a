//! Evidence about requests that wait to be forwarded.

use std::collections::BTreeMap;

use domain::Timestamp;
use domain::trouble::rules::forwarding_failing;
use domain::trouble::{TroubleKey, TroubleKind, TroubleSubject};
use ports::{ChannelWithCredentials, ForwardedRequestStore, StoreError};

use super::findings::Findings;

/// Judges channels.
pub(super) async fn judge(
    store: &dyn ForwardedRequestStore,
    channels: &[&ChannelWithCredentials],
    now: Timestamp,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let waiting = store.waiting_requests(None).await?;
    let waiting: BTreeMap<_, _> = waiting.into_iter().collect();
    for found in channels {
        let id = &found.channel.id;
        let key = TroubleKey {
            kind: TroubleKind::ForwardingFailing,
            subject: TroubleSubject::Channel(id.clone()),
        };
        let finding = waiting
            .get(id)
            .and_then(|waiting| forwarding_failing(waiting, now));
        findings.add(key, finding);
    }
    Ok(())
}
