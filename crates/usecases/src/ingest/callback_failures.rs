//! Stores callback alerts: messages of which the integrator says that it could not deliver a
//! report.

use std::sync::Arc;

use domain::Timestamp;
use domain::reconciliation::CallbackAlert;
use ports::integrator::{CallbackFailure, report_path};
use ports::{Metrics, ReconciliationStore};

use crate::ingest::queue::{BatchFailure, IngestError};
use crate::ingest::receive::{ReceiveError, ReportRequest};

/// Stores alerts, so that reconciliation looks their messages up.
pub(super) struct CallbackFailures {
    alerts: Arc<dyn ReconciliationStore>,
    metrics: Arc<dyn Metrics>,
}

impl CallbackFailures {
    pub(super) fn new(alerts: Arc<dyn ReconciliationStore>, metrics: Arc<dyn Metrics>) -> Self {
        Self { alerts, metrics }
    }

    /// Stores those failures that concern the URL of the channel; others are ignored.
    pub(super) async fn note(
        &self,
        request: &ReportRequest<'_>,
        arrived_at: Timestamp,
        failures: Vec<CallbackFailure>,
    ) -> Result<(), ReceiveError> {
        if failures.is_empty() {
            return Ok(());
        }
        let channel = &request.caller.channel.channel.id;
        let integrator = request.integrator.name();
        let path = report_path(request.integrator, channel);
        let mut alerts = Vec::new();
        for failure in failures {
            let is_own = |called: &String| called.ends_with(&path);
            if failure.sid.is_test() || !failure.path.as_ref().is_none_or(is_own) {
                self.metrics.ignored(integrator, "other-callback");
                continue;
            }
            alerts.push(CallbackAlert {
                channel: channel.clone(),
                sid: failure.sid,
                code: failure.code,
                alerted_at: arrived_at,
            });
        }
        if alerts.is_empty() {
            return Ok(());
        }
        self.metrics.callbacks_failed(integrator, alerts.len());
        let stored = self.alerts.add_callback_alerts(&alerts).await;
        stored.map_err(|error| {
            let failure = Arc::new(BatchFailure::Store(error));
            IngestError::Unavailable(failure).into()
        })
    }
}
