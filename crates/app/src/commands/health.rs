//! Checks whether the server on this machine is running.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::http_client;
use crate::config::Settings;

/// Fails unless the operator's listener answers `/healthz` with success within two seconds.
pub async fn run(settings: &Settings) -> Result<()> {
    let url = format!("{}/healthz", settings.listeners.admin_url());
    let request = http_client::create(Duration::from_secs(2))?.get(&url);
    let answer = request.send().await;
    let status = answer
        .with_context(|| format!("{url} does not answer"))?
        .status();
    ensure!(status.is_success(), "{url} answers {status}");
    Ok(())
}
