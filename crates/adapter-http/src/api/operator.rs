//! State that all API handlers share: the use cases and limits of the operator's listener.

use std::sync::Arc;

use actix_web::web::Bytes;
use ports::error::error_chain;
use tokio::sync::Semaphore;
use tokio::sync::watch::Receiver;
use usecases::{
    AccessControl, ChannelDirectory, CheckHealth, EraseRecipient, ForwardingFigures, ListErasures,
    ListMessages, ListRejections, ManageChannels, ManageCursors, ManageReconciliation,
    ManageSubscriptions, ManageTroubles, ReadEvents, ReadStatistics, ShowMessage,
    SubscriptionStatistics, TestChannel, TroubleFigures,
};

use crate::api::authorize::RepeatedReveals;
use crate::api::events::settings::StreamSettings;
use crate::host::HostNames;
use crate::metrics::registry::MetricsRegistry;
use usecases::RuntimeHandle;

/// The use cases and values of the operator's listener.
#[derive(Clone)]
pub struct OperatorState {
    /// Adds, changes and removes channels.
    pub manage: Arc<ManageChannels>,
    /// Manages the accounts of channels for reconciliation.
    pub reconciliation: Arc<ManageReconciliation>,
    /// Counts the requests that wait to be forwarded.
    pub forwarding: Arc<ForwardingFigures>,
    /// Sends test reports to channels.
    pub test_channel: Arc<TestChannel>,
    /// Shows a message.
    pub show: Arc<ShowMessage>,
    /// Lists messages.
    pub list: Arc<ListMessages>,
    /// Reads events.
    pub events: Arc<ReadEvents>,
    /// The limits of event streams.
    pub streams: StreamSettings,
    /// Shows, moves and removes cursors.
    pub cursors: Arc<ManageCursors>,
    /// Adds, changes and removes subscriptions, and shows their deliveries.
    pub subscriptions: Arc<ManageSubscriptions>,
    /// Reads the statistics of all subscriptions.
    pub statistics: Arc<SubscriptionStatistics>,
    /// Reads counts by channel and interval.
    pub read_statistics: Arc<ReadStatistics>,
    /// Lists and snoozes troubles, and changes the settings of their rules.
    pub troubles: Arc<ManageTroubles>,
    /// Counts the open troubles.
    pub trouble_figures: Arc<TroubleFigures>,
    /// Becomes true when the process is about to stop: then event streams end.
    pub stop: Receiver<bool>,
    /// Erases a recipient.
    pub erase: Arc<EraseRecipient>,
    /// Lists erasures.
    pub erasures: Arc<ListErasures>,
    /// Lists rejections.
    pub rejections: Arc<ListRejections>,
    /// Checks the parts that the service depends on.
    pub health: Arc<CheckHealth>,
    /// Refreshed after each change made here, so that this process applies it at once.
    pub directory: Arc<ChannelDirectory>,
    /// The metrics of this process.
    pub metrics: Arc<MetricsRegistry>,
    /// Authenticates operators and manages their tokens.
    pub access: AccessControl,
    /// The host names that are answered.
    pub hosts: HostNames,
}

/// The state of the operator's handlers.
pub(crate) struct Operator {
    pub(crate) state: OperatorState,
    /// One permit for each event stream that may be open at a time.
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) reveals: RepeatedReveals,
    /// The OpenAPI document as JSON.
    pub(crate) document: Bytes,
    runtime: RuntimeHandle,
}

impl Operator {
    pub(crate) fn new(state: OperatorState, document: Bytes, runtime: RuntimeHandle) -> Self {
        Self {
            streams: Arc::new(Semaphore::new(state.streams.max_streams)),
            state,
            reveals: RepeatedReveals::default(),
            document,
            runtime,
        }
    }

    /// Runs a use case in the store's runtime.
    pub(crate) async fn run<F: Future>(&self, use_case: F) -> F::Output {
        self.runtime.run(use_case).await
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
