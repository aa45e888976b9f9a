//! One message and everything that led there.

use std::sync::Arc;

use domain::error_code::{ErrorExplanation, explain};
use domain::{IntegratorName, MessageKey};
use ports::reports::MessageWithReports;
use ports::{ChannelCredentialRepository, ReportStore, StoreError};

/// Shows a message.
pub struct ShowMessage {
    store: Arc<dyn ReportStore>,
    channels: Arc<dyn ChannelCredentialRepository>,
}

/// A message for people.
pub struct ShownMessage {
    /// The message and its reports.
    pub message: MessageWithReports,
    /// The integrator of its channel; `None` if the channel is gone.
    pub integrator: Option<IntegratorName>,
    /// What its error means, if it has one and the integrator is known.
    pub explanation: Option<ErrorExplanation>,
}

impl ShowMessage {
    /// Shows messages of a store.
    #[must_use]
    pub fn new(
        store: Arc<dyn ReportStore>,
        channels: Arc<dyn ChannelCredentialRepository>,
    ) -> Self {
        Self { store, channels }
    }

    /// The message of a key.
    pub async fn run(&self, key: &MessageKey) -> Result<Option<ShownMessage>, StoreError> {
        let Some(message) = self.store.message(key).await? else {
            return Ok(None);
        };
        let integrator = self
            .channels
            .find(&key.channel)
            .await?
            .map(|found| found.channel.integrator);
        let error = message.message.state.error();
        let explanation = integrator
            .as_ref()
            .zip(error)
            .map(|(integrator, error)| explain(integrator, &error.error.code));
        Ok(Some(ShownMessage {
            message,
            integrator,
            explanation,
        }))
    }
}
