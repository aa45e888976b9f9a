//! The operator's API: channels, credentials, messages,
//! events, subscriptions, erasures, rejections.

pub mod auth;
pub(crate) mod body;
pub(crate) mod body_timeout;
pub mod channels;
pub mod credentials;
pub mod erasures;
pub mod error;
pub mod events;
pub mod messages;
pub mod openapi;
pub mod query;
pub mod rejections;
pub mod subscriptions;

use std::sync::Arc;

use actix_web::web::Bytes;
use tokio::sync::Semaphore;

use crate::OperatorState;
use crate::server::RuntimeHandle;

/// What the operator's handlers need.
pub struct Operator {
    pub(crate) state: OperatorState,
    /// A place for each stream of events that there may be at a time.
    streams: Arc<Semaphore>,
    home: RuntimeHandle,
    /// The OpenAPI document as JSON.
    document: Bytes,
}

impl Operator {
    pub(crate) fn new(state: OperatorState, home: RuntimeHandle) -> Self {
        let manage = &state.manage;
        let integrators = manage.integrators().iter();
        let names: Vec<_> = integrators.map(|each| each.name().as_str()).collect();
        let document = openapi::document(manage.public_url(), &names);
        Self {
            document: document.to_string().into(),
            streams: Arc::new(Semaphore::new(state.streams.most)),
            state,
            home,
        }
    }

    /// Runs a use case where the store lives.
    pub(crate) async fn run<F: Future>(&self, use_case: F) -> F::Output {
        self.home.run(use_case).await
    }

    /// Makes a change to channels known to this process at once. If that fails
    /// the change is made all the same, and is known a little later.
    pub(crate) async fn channels_changed(&self) {
        if let Err(error) = self.run(self.state.directory.refresh()).await {
            let error = usecases::ingest::group_commit::chain(&error);
            tracing::warn!(error, "the changed channels were not read again yet");
        }
    }
}
