//! Counts the messages of a channel that have a callback alert.

use domain::reconciliation::CALLBACK_ALERT_RETENTION_MICROS;
use domain::{ChannelId, Timestamp};
use ports::{ReconciliationStore, StoreError};

/// The messages of a channel of which the integrator said in the last seven days that it could not
/// deliver a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlertedMessages {
    /// How many.
    pub count: u64,
    /// When the last alert arrived; `None` without one.
    pub last_at: Option<Timestamp>,
}

impl AlertedMessages {
    /// Counts those of a channel; none if there is no such channel.
    pub async fn read(
        store: &dyn ReconciliationStore,
        channel: &ChannelId,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let since = now.plus_micros(-CALLBACK_ALERT_RETENTION_MICROS);
        let counts = store.callback_alert_counts(channel, since).await?;
        Ok(Self {
            count: counts.iter().map(|it| it.messages).sum(),
            last_at: counts.iter().map(|it| it.newest_at).max(),
        })
    }
}
