//! Leases subscriptions for one process.

use std::sync::Arc;

use ports::StoreError;
use tokio::time::Instant;

use super::context::{DeliveryDependencies, DeliverySettings, WorkerContext};
use super::dispatcher::Dispatcher;
use super::limits::Limits;
use super::stop_alerts::StopAlerts;

/// Claims subscriptions and creates their dispatchers.
pub struct DeliveryWorker {
    context: Arc<WorkerContext>,
    name: String,
}

impl DeliveryWorker {
    /// Creates a worker that leases subscriptions under `name`, which operators see.
    #[must_use]
    pub fn new(
        dependencies: DeliveryDependencies,
        settings: DeliverySettings,
        name: String,
    ) -> Self {
        let context = Arc::new(WorkerContext {
            limits: Arc::new(Limits::new(
                settings.max_in_flight_total,
                settings.max_buffered_total,
            )),
            alerts: StopAlerts::new(Arc::clone(&dependencies.metrics)),
            dependencies,
            settings,
        });
        Self { context, name }
    }

    /// Leases a subscription and returns its dispatcher, which has to be run. `None` if every
    /// subscription is leased, or if this worker has its fair share of them.
    pub async fn claim(&self) -> Result<Option<Dispatcher>, StoreError> {
        let (queue, lease) = (
            &self.context.dependencies.queue,
            self.context.settings.lease,
        );
        // The lease runs from some time between here and the answer.
        let asked_at = Instant::now();
        let Some(leased) = queue.claim(&self.name, lease).await? else {
            return Ok(None);
        };
        // An erasure may have ended the previous lease. Events made from an older copy of the
        // log must not be stored under the new one.
        self.context.dependencies.log.invalidate().await;
        let context = Arc::clone(&self.context);
        Ok(Some(Dispatcher::new(context, leased, asked_at)))
    }

    /// Gives up this worker's fair share to the other workers. Leases that it holds stay valid.
    pub async fn leave(&self) -> Result<(), StoreError> {
        self.context.dependencies.queue.leave(&self.name).await
    }
}
