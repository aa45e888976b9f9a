//! Wires the use cases of reconciliation.

use std::sync::Arc;

use adapter_webhook::TwilioMessages;
use anyhow::{Context as _, Result};
use domain::crypto::ServerSecret;
use ports::{Metrics, Store};
use usecases::reconciliation::ReconcileDependencies;
use usecases::{ManageReconciliation, Reconcile};

use crate::config::Settings;
use crate::system::System;
use crate::webhook_sender;

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
        settings: settings.reconciliation.settings(),
    }))
}
