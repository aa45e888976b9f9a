//! Wires the use cases of reconciliation.

use std::sync::Arc;
use std::time::Duration;

use adapter_webhook::TwilioMessages;
use anyhow::{Context as _, Result};
use domain::crypto::ServerSecret;
use ports::error::error_chain;
use ports::{Metrics, Store};
use usecases::reconciliation::{ChannelRun, ReconcileChannels, ReconcileDependencies};
use usecases::{ManageReconciliation, Reconcile};

use crate::background::BackgroundTask;
use crate::config::Settings;
use crate::system::{self, System};
use crate::webhook_sender;

/// How often the channels that are due are looked for, at most.
const LONGEST_CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// Returns the use case that manages the accounts of channels.
pub fn manage(store: &Arc<dyn Store>, secret: ServerSecret) -> ManageReconciliation {
    ManageReconciliation::new(
        Arc::clone(store) as _,
        Arc::clone(store) as _,
        secret,
        Arc::new(System),
    )
}

/// Returns the use case that reconciles a channel with the integrator's records.
pub fn reconcile(
    store: &Arc<dyn Store>,
    settings: &Settings,
    secret: ServerSecret,
    metrics: Arc<dyn Metrics>,
) -> Result<Reconcile> {
    let options = webhook_sender::options(settings)?;
    let base = &settings.reconciliation.twilio_api_url;
    let records = TwilioMessages::new(base, options, Arc::new(System));
    Ok(Reconcile::new(ReconcileDependencies {
        accounts: Arc::clone(store) as _,
        channels: Arc::clone(store) as _,
        reports: Arc::clone(store) as _,
        records: Arc::new(records.context("RECEIPTD_TWILIO_API_URL")?),
        metrics,
        secret,
        environment: Arc::new(System),
        settings: settings
            .reconciliation
            .settings(settings.retention.keep_messages_days),
    }))
}

/// Returns the task that reconciles all channels that have an account. Of several processes one
/// works on a channel at a time.
pub fn task(
    store: &Arc<dyn Store>,
    settings: &Settings,
    secret: ServerSecret,
    metrics: Arc<dyn Metrics>,
) -> Result<BackgroundTask> {
    let interval = settings.reconciliation.interval();
    let channels = Arc::new(ReconcileChannels::new(
        reconcile(store, settings, secret, metrics)?,
        Arc::clone(store) as _,
        Arc::new(System),
        system::worker_name(),
        interval,
    ));
    let check_interval = interval.min(LONGEST_CHECK_INTERVAL);
    let task = BackgroundTask::new("reconcile channels", check_interval, move || {
        let channels = Arc::clone(&channels);
        async move {
            for run in channels.run().await? {
                report(&run);
            }
            Ok(())
        }
    });
    Ok(task)
}

fn report(run: &ChannelRun) {
    let channel = &run.channel;
    match &run.outcome {
        Some(Ok(done)) if done.recovered > 0 => tracing::info!(
            %channel,
            checked = done.checked,
            recovered = done.recovered,
            "reconciliation recovered reports that had not arrived"
        ),
        Some(Ok(_)) => {}
        Some(Err(error)) => tracing::warn!(
            %channel,
            error = error_chain(error),
            "reconciliation of a channel stopped; the next run continues"
        ),
        None => tracing::info!(%channel, "another process continues reconciliation of a channel"),
    }
}
