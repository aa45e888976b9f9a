//! State that the health and metrics handlers share, on the operator's listener and on that of a
//! worker.

use std::sync::Arc;

use usecases::{
    AuthenticateOperator, CheckHealth, ForwardingFigures, SubscriptionStatistics, TroubleFigures,
};

use crate::auth_failure_throttle::AuthFailureThrottle;
use crate::health_cache::HealthCache;
use crate::metrics::registry::MetricsRegistry;
use crate::settings::ListenerSettings;
use usecases::RuntimeHandle;

/// The use cases and values of the monitoring routes.
#[derive(Clone)]
pub struct MonitoringState {
    /// Reads the statistics of all subscriptions.
    pub statistics: Arc<SubscriptionStatistics>,
    /// Counts the open troubles.
    pub troubles: Arc<TroubleFigures>,
    /// Counts the requests that wait to be forwarded.
    pub forwarding: Arc<ForwardingFigures>,
    /// Checks the parts that the process depends on.
    pub health: Arc<CheckHealth>,
    /// The metrics of this process.
    pub metrics: Arc<MetricsRegistry>,
    /// Authenticates the tokens of operators.
    pub authenticate: Arc<AuthenticateOperator>,
}

/// How many wrong tokens are answered at a time; with the default delay 20 a second.
const CONCURRENT_AUTH_FAILURES: usize = 4;

/// The state of the handlers of health and metrics, and of the check of tokens.
pub(crate) struct Monitoring {
    pub(crate) state: MonitoringState,
    pub(crate) settings: ListenerSettings,
    pub(crate) health_cache: HealthCache,
    pub(crate) auth_failures: AuthFailureThrottle,
    runtime: RuntimeHandle,
}

impl Monitoring {
    pub(crate) fn new(
        state: MonitoringState,
        settings: ListenerSettings,
        runtime: RuntimeHandle,
    ) -> Self {
        let delay = settings.refusal_delay;
        Self {
            state,
            settings,
            health_cache: HealthCache::default(),
            auth_failures: AuthFailureThrottle::new(CONCURRENT_AUTH_FAILURES, delay),
            runtime,
        }
    }

    /// Runs a use case in the store's runtime.
    pub(crate) async fn run<F: Future>(&self, use_case: F) -> F::Output {
        self.runtime.run(use_case).await
    }
}
