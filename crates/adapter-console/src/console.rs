//! State that all page handlers share: the use cases, settings and limits of the console.

use std::collections::HashMap;
use std::sync::Arc;

use domain::access::{AuditAction, ConsoleUrl};
use domain::{ChannelId, ChannelName, Timestamp};
use ports::error::error_chain;
use ports::{ChannelWithCredentials, StoreError};
use tokio::sync::Semaphore;
use tokio::sync::watch::Receiver;
use usecases::access::AccessControl;
use usecases::access::audit::Action;
use usecases::channels::manage::ManageError;
use usecases::{
    AllowSender, ChannelDirectory, CheckHealth, EraseRecipient, ForwardingFigures, ListErasures,
    ListMessages, ListRejections, ManageChannels, ManageReconciliation, ManageSubscriptions,
    ManageTroubles, ReadEvents, ReadStatistics, RecipientLinks, RuntimeHandle, SavedViews,
    ShowMessage, TestChannel,
};

use crate::pages::about::Installation;
use crate::pages::live::MAX_STREAMS;
use crate::visit::Visit;

/// The use cases and values of the console.
#[derive(Clone)]
pub struct ConsoleState {
    /// Sessions, tokens and the audit log.
    pub access: AccessControl,
    /// How browsers reach the console.
    pub url: ConsoleUrl,
    /// Adds, changes and removes channels.
    pub channels: Arc<ManageChannels>,
    /// Manages the accounts of channels for reconciliation.
    pub reconciliation: Arc<ManageReconciliation>,
    /// Counts the requests that wait to be forwarded.
    pub forwarding: Arc<ForwardingFigures>,
    /// Sends test reports to channels.
    pub test_channel: Arc<TestChannel>,
    /// Refreshed after each change made here, so that this process applies it at once.
    pub directory: Arc<ChannelDirectory>,
    /// Lists, saves and removes views.
    pub views: Arc<SavedViews>,
    /// Lists messages.
    pub list: Arc<ListMessages>,
    /// Shows a message.
    pub show: Arc<ShowMessage>,
    /// Seals recipients for URLs.
    pub recipients: Arc<RecipientLinks>,
    /// Lists rejections.
    pub rejections: Arc<ListRejections>,
    /// Adds senders from rejections to channels.
    pub allow_sender: Arc<AllowSender>,
    /// Adds, changes and removes subscriptions, and shows their deliveries.
    pub subscriptions: Arc<ManageSubscriptions>,
    /// Reads counts by channel and interval.
    pub statistics: Arc<ReadStatistics>,
    /// Lists and snoozes troubles, and changes the settings of their rules.
    pub troubles: Arc<ManageTroubles>,
    /// Reads events.
    pub events: Arc<ReadEvents>,
    /// Becomes true when the process is about to stop: then streams end.
    pub stop: Receiver<bool>,
    /// Erases a recipient.
    pub erase: Arc<EraseRecipient>,
    /// Lists erasures.
    pub erasures: Arc<ListErasures>,
    /// Checks the parts that the service depends on.
    pub health: Arc<CheckHealth>,
    /// What the console says about this installation.
    pub installation: Installation,
    /// The zone of times, by its name in the IANA database.
    pub time_zone: String,
}

/// The state of the handlers.
pub(crate) struct Console {
    pub(crate) state: ConsoleState,
    /// One permit for each stream that may be open at a time.
    pub(crate) streams: Arc<Semaphore>,
    runtime: RuntimeHandle,
}

/// The names of channels by their ids.
pub(crate) type ChannelNames = HashMap<ChannelId, ChannelName>;

impl Console {
    pub(crate) fn new(state: ConsoleState, runtime: RuntimeHandle) -> Self {
        Self {
            state,
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            runtime,
        }
    }

    /// Runs a use case in the store's runtime.
    pub(crate) async fn run<F: Future>(&self, use_case: F) -> F::Output {
        self.runtime.run(use_case).await
    }

    /// Returns the time.
    pub(crate) fn now(&self) -> Timestamp {
        self.state.channels.now()
    }

    /// Returns all channels, by id.
    pub(crate) async fn channels(&self) -> Result<Vec<ChannelWithCredentials>, StoreError> {
        match self.run(self.state.channels.list()).await {
            Ok(channels) => Ok(channels),
            Err(ManageError::Store(error)) => Err(error),
            // A list has no other errors.
            Err(_) => Ok(Vec::new()),
        }
    }

    /// Adds a change that was made to the audit log. `details` may be empty; it contains no secret
    /// and no personal data of recipients.
    pub(crate) async fn audit(
        &self,
        visit: &Visit,
        action: AuditAction,
        object: &str,
        details: &str,
    ) {
        let mut action = Action::new(action).on(object);
        if !details.is_empty() {
            action = action.saying(details);
        }
        let actor = visit.viewer.actor();
        self.run(self.state.access.audit.after(&actor, action))
            .await;
    }

    /// Applies a change to channels in this process at once. If that fails, the change is stored
    /// anyway and the next regular refresh applies it.
    pub(crate) async fn channels_changed(&self) {
        if let Err(error) = self.run(self.state.directory.refresh()).await {
            let error = error_chain(&error);
            tracing::warn!(
                error,
                "changed channels were not read; retrying with the next refresh"
            );
        }
    }
}

/// Returns the names of channels.
pub(crate) fn names(channels: &[ChannelWithCredentials]) -> ChannelNames {
    let name = |each: &ChannelWithCredentials| (each.channel.id.clone(), each.channel.name.clone());
    channels.iter().map(name).collect()
}
