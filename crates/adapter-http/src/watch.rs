//! What is there to watch a process by: metrics, life and health. On the
//! operator's listener, and alone on that of a worker.

use std::sync::Arc;

use usecases::{CheckHealth, SubscriptionStatistics};

use crate::OperatorState;
use crate::api::auth::AdminToken;
use crate::guessing::AuthFailureThrottle;
use crate::health::LastCheck;
use crate::metrics::MetricsRegistry;
use crate::server::{ListenerSettings, RuntimeHandle};

/// What is needed to be watched.
#[derive(Clone)]
pub struct WatchState {
    /// Looks at all subscriptions for the metrics.
    pub survey: Arc<SubscriptionStatistics>,
    /// Checks what the process depends on.
    pub health: Arc<CheckHealth>,
    /// Shows the counts.
    pub metrics: Arc<MetricsRegistry>,
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
    pub(crate) settings: ListenerSettings,
    pub(crate) last_check: LastCheck,
    /// Delays the answers to wrong tokens.
    pub(crate) guessing: AuthFailureThrottle,
    home: RuntimeHandle,
}

/// How many wrong tokens are answered at a time; with the default delay 20 a second.
const GUESSES_AT_A_TIME: usize = 4;

impl Watch {
    pub(crate) fn new(state: WatchState, settings: ListenerSettings, home: RuntimeHandle) -> Self {
        Self {
            state,
            last_check: LastCheck::default(),
            guessing: AuthFailureThrottle::new(GUESSES_AT_A_TIME, settings.refusal_delay),
            settings,
            home,
        }
    }

    /// Runs a use case where the store lives.
    pub(crate) async fn run<F: Future>(&self, use_case: F) -> F::Output {
        self.home.run(use_case).await
    }
}
