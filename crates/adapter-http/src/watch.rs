//! What is there to watch a process by: metrics, life and health. On the
//! operator's listener, and alone on that of a worker.

use std::sync::Arc;

use usecases::{CheckHealth, SurveySubscriptions};

use crate::OperatorState;
use crate::api::auth::AdminToken;
use crate::metrics::Metrics;
use crate::server::Home;

/// What is needed to be watched.
#[derive(Clone)]
pub struct WatchState {
    /// Looks at all subscriptions for the metrics.
    pub survey: Arc<SurveySubscriptions>,
    /// Checks what the process depends on.
    pub health: Arc<CheckHealth>,
    /// Shows the counts.
    pub metrics: Arc<Metrics>,
    /// Opens the metrics.
    pub admin_token: AdminToken,
}

impl From<&OperatorState> for WatchState {
    fn from(operator: &OperatorState) -> Self {
        Self {
            survey: Arc::clone(&operator.survey),
            health: Arc::clone(&operator.health),
            metrics: Arc::clone(&operator.metrics),
            admin_token: operator.admin_token,
        }
    }
}

/// What the handlers need.
pub struct Watch {
    pub(crate) state: WatchState,
    home: Home,
}

impl Watch {
    pub(crate) const fn new(state: WatchState, home: Home) -> Self {
        Self { state, home }
    }

    /// Runs a use case where the store lives.
    pub(crate) async fn run<F: Future>(&self, use_case: F) -> F::Output {
        self.home.run(use_case).await
    }
}
