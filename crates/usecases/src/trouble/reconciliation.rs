//! Evidence about callbacks that failed, and about reconciliation.

use std::collections::BTreeMap;

use domain::Timestamp;
use domain::trouble::rules::{CALLBACK_WINDOW_MICROS, callbacks_failing, reconciliation_failing};
use domain::trouble::{TroubleKey, TroubleKind, TroubleSubject};
use ports::{ChannelWithCredentials, ReconciliationStore, StoreError};

use super::findings::Findings;

/// Judges channels.
pub(super) async fn judge(
    store: &dyn ReconciliationStore,
    channels: &[&ChannelWithCredentials],
    now: Timestamp,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let figures = store.reconciliations().await?.into_iter();
    let figures: BTreeMap<_, _> = figures
        .map(|found| (found.account.channel, found.figures))
        .collect();
    for found in channels {
        let id = &found.channel.id;
        let key = |kind| TroubleKey {
            kind,
            subject: TroubleSubject::Channel(id.clone()),
        };
        let since = now.plus_micros(-CALLBACK_WINDOW_MICROS);
        let counts = store.callback_alert_counts(id, since).await?;
        findings.add(
            key(TroubleKind::CallbacksFailing),
            callbacks_failing(&counts),
        );
        let failing = figures.get(id);
        let failing = failing.and_then(|figures| reconciliation_failing(figures, now));
        findings.add(key(TroubleKind::ReconciliationFailing), failing);
    }
    Ok(())
}
