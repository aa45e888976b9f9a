//! Wires the use cases of reconciliation.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use adapter_webhook::TwilioMessages;
use anyhow::{Context as _, Result};
use domain::crypto::ServerSecret;
use domain::reconciliation::CALLBACK_ALERT_RETENTION_MICROS;
use ports::error::error_chain;
use ports::{Environment as _, Metrics, Store};
use usecases::reconciliation::{
    ChannelRun, LookUpAlerts, ReconcileChannels, ReconcileDependencies,
};
use usecases::{ManageReconciliation, Reconcile};

use crate::background::BackgroundTask;
use crate::config::Settings;
use crate::system::{self, System};
use crate::webhook_sender;

/// How often the channels that are due are looked for, at most.
const LONGEST_CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// How often new alerts are looked for.
const ALERT_CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// How often alerts that are too old are removed.
const PRUNE_INTERVAL: Duration = Duration::from_mins(10);

/// How many alerts are removed at a time.
const PRUNED_AT_ONCE: NonZeroU16 = NonZeroU16::new(1_000).unwrap();

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

/// Returns the tasks that reconcile all channels that have an account, look up alerts and remove
/// old ones. Of several processes one works on a channel at a time.
pub fn tasks(
    store: &Arc<dyn Store>,
    settings: &Settings,
    secret: &ServerSecret,
    metrics: &Arc<dyn Metrics>,
) -> Result<Vec<BackgroundTask>> {
    let create = || reconcile(store, settings, secret.clone(), Arc::clone(metrics));
    let interval = settings.reconciliation.interval();
    Ok(vec![
        reconciling(store, create()?, interval),
        looking_up_alerts(store, create()?, interval),
        pruning(store),
    ])
}

fn reconciling(store: &Arc<dyn Store>, reconcile: Reconcile, interval: Duration) -> BackgroundTask {
    let channels = Arc::new(ReconcileChannels::new(
        reconcile,
        Arc::clone(store) as _,
        Arc::new(System),
        system::worker_name(),
        interval,
    ));
    let check_interval = interval.min(LONGEST_CHECK_INTERVAL);
    BackgroundTask::new("reconcile channels", check_interval, move || {
        let channels = Arc::clone(&channels);
        async move {
            channels.run().await?.iter().for_each(report);
            Ok(())
        }
    })
}

fn looking_up_alerts(
    store: &Arc<dyn Store>,
    reconcile: Reconcile,
    interval: Duration,
) -> BackgroundTask {
    let alerts = Arc::new(LookUpAlerts::new(
        reconcile,
        Arc::clone(store) as _,
        Arc::new(System),
        format!("{}/alerts", system::worker_name()),
        interval,
    ));
    BackgroundTask::new("look up alerts", ALERT_CHECK_INTERVAL, move || {
        let alerts = Arc::clone(&alerts);
        async move {
            alerts.run().await?.iter().for_each(report);
            Ok(())
        }
    })
}

fn pruning(store: &Arc<dyn Store>) -> BackgroundTask {
    let store = Arc::clone(store);
    BackgroundTask::new("prune alerts", PRUNE_INTERVAL, move || {
        let store = Arc::clone(&store);
        async move {
            let before = System.now().plus_micros(-CALLBACK_ALERT_RETENTION_MICROS);
            while store.prune_callback_alerts(before, PRUNED_AT_ONCE).await? > 0 {
                // Between two steps others have their turn.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        }
    })
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
