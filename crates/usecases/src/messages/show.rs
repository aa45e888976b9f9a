//! Shows a message with its reports.

use std::num::NonZeroU16;
use std::sync::Arc;

use domain::error_code::{ErrorExplanation, explain};
use domain::{ChannelId, IntegratorName, MessageKey};
use ports::error::error_chain;
use ports::reports::MessageWithReports;
use ports::{ChannelStore, ReportStore, StoreError};

/// The maximum number of aliases that are examined to count separate messages.
const MAX_ALIASES: NonZeroU16 = NonZeroU16::new(1_000).unwrap();

/// Shows a message.
pub struct ShowMessage {
    store: Arc<dyn ReportStore>,
    channels: Arc<dyn ChannelStore>,
}

/// A message, its reports and the meaning of its error.
pub struct ShownMessage {
    /// The message and its reports.
    pub message: MessageWithReports,
    /// The integrator of its channel; `None` if the channel was removed.
    pub integrator: Option<IntegratorName>,
    /// The meaning of its error, if it has one and the integrator is known.
    pub explanation: Option<ErrorExplanation>,
}

/// Why a message is not shown.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// There are no reports of the message, and its channel does not exist.
    #[error("there is no channel {0}")]
    NoSuchChannel(ChannelId),
    /// There are no reports of the message.
    #[error("nothing was reported of message {} on channel {}", .0.sid, .0.channel)]
    NoSuchMessage(MessageKey),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ShowMessage {
    /// Shows the messages of a store.
    #[must_use]
    pub fn new(store: Arc<dyn ReportStore>, channels: Arc<dyn ChannelStore>) -> Self {
        Self { store, channels }
    }

    /// Returns how many messages of a channel are separate: see [`domain::alias`]. It is counted
    /// over at most 1,000 aliases, so it is a minimum. `None` if the store fails, which is logged:
    /// everything else about the channel can be shown.
    pub async fn separate(&self, channel: &ChannelId) -> Option<u64> {
        match self.store.separate_messages(channel, MAX_ALIASES).await {
            Ok(count) => Some(count),
            Err(error) => {
                let error = error_chain(&error);
                tracing::warn!(%channel, error, "separate messages were not counted");
                None
            }
        }
    }

    /// Returns the message of a key, also after its channel was removed.
    pub async fn run(&self, key: &MessageKey) -> Result<ShownMessage, ShowError> {
        let message = self.store.message(key).await?;
        let channel = self.channels.find(&key.channel).await?;
        let message = message.ok_or_else(|| match &channel {
            None => ShowError::NoSuchChannel(key.channel.clone()),
            Some(_) => ShowError::NoSuchMessage(key.clone()),
        })?;
        let integrator = channel.map(|found| found.channel.integrator);
        let error = message.message.state.error();
        let explanation = integrator
            .as_ref()
            .zip(error)
            .map(|(integrator, error)| explain(integrator, &error.error.code));
        Ok(ShownMessage {
            message,
            integrator,
            explanation,
        })
    }
}
