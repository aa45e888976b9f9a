//! Checks whether the server on this machine is running.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

use super::http_client;
use crate::config::Settings;
use crate::output;

/// A server that is running.
#[derive(Serialize)]
struct Alive {
    /// Always `true`: otherwise the command fails.
    alive: bool,
    /// The URL that answers.
    url: String,
}

/// Fails unless the operator's listener answers `/healthz` with success within two seconds. Prints
/// nothing unless `json`, for container health checks.
pub async fn run(settings: &Settings, json: bool) -> Result<()> {
    let url = format!("{}/healthz", settings.listeners.admin_url());
    let request = http_client::create(Duration::from_secs(2))?.get(&url);
    let answer = request.send().await;
    let status = answer
        .with_context(|| format!("{url} (RECEIPTD_ADMIN_LISTEN) does not answer"))?
        .status();
    ensure!(status.is_success(), "{url} answers {status}");
    if json {
        output::json(&Alive { alive: true, url })?;
    }
    Ok(())
}
