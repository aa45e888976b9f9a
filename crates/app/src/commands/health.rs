//! Is the server on this machine alive?

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::config::Settings;

/// Fails unless the operator's listener answers within two seconds that it is
/// alive.
pub async fn run(settings: &Settings) -> Result<()> {
    let url = format!("{}/healthz", settings.admin_url());
    let client = super::http_client(Duration::from_secs(2))?;
    let answer = client
        .get(&url)
        .send()
        .await
        .with_context(|| format!("{url} does not answer"))?;
    ensure!(
        answer.status().is_success(),
        "{url} answers {}",
        answer.status()
    );
    Ok(())
}
