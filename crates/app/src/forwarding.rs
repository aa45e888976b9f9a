//! Wires the use cases of forwarding.

use std::sync::Arc;

use domain::crypto::ServerSecret;
use ports::{Metrics, RequestForwarder, Store};
use usecases::ChannelDirectory;
use usecases::forwarding::{
    ForwardingArrivals, ForwardingDependencies, ForwardingFigures, ForwardingOutbox,
    ForwardingSettings, ForwardingWorker,
};

use crate::system::System;

/// What the outbox and the worker of a process share.
#[derive(Clone)]
pub struct ForwardingParts {
    pub store: Arc<dyn Store>,
    pub secret: ServerSecret,
    pub metrics: Arc<dyn Metrics>,
    pub arrivals: ForwardingArrivals,
}

impl ForwardingParts {
    /// Returns the use case that stores requests to forward.
    pub fn outbox(self) -> ForwardingOutbox {
        ForwardingOutbox::new(
            self.store,
            self.secret,
            Arc::new(System),
            self.metrics,
            self.arrivals,
        )
    }

    /// Returns the worker that forwards the requests of the channels in `directory`.
    pub fn worker(
        self,
        directory: Arc<ChannelDirectory>,
        forwarder: Arc<dyn RequestForwarder>,
    ) -> ForwardingWorker {
        let needs = ForwardingDependencies {
            maintenance: Arc::clone(&self.store) as _,
            store: self.store,
            forwarder,
            directory,
            secret: self.secret,
            environment: Arc::new(System),
            metrics: self.metrics,
            arrivals: self.arrivals,
        };
        ForwardingWorker::new(needs, ForwardingSettings::default())
    }
}

/// Returns the use case that counts the requests that wait.
pub fn figures(store: Arc<dyn Store>) -> ForwardingFigures {
    ForwardingFigures::new(store, Arc::new(System))
}
