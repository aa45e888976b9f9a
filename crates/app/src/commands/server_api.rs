//! Calls the operator's API of the running server.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::http_client;
use crate::config::Settings;

/// Sends a POST request without a body to the server at `RECEIPTD_ADMIN_LISTEN` and returns its
/// answer.
pub async fn post<T: DeserializeOwned>(
    settings: &Settings,
    path: &str,
    timeout: Duration,
) -> Result<T> {
    let server = settings.listeners.admin_url();
    let token = settings.stored_admin_token()?;
    let client = http_client::create(timeout)?;
    let request = client.post(format!("{server}{path}")).bearer_auth(token);
    let answer = request.send().await;
    let answer = answer
        .ok()
        .with_context(|| format!("{server} (RECEIPTD_ADMIN_LISTEN) does not answer"))?;
    let status = answer.status();
    if !status.is_success() {
        let problem: Value = answer.json().await.unwrap_or_default();
        match problem.get("detail").and_then(Value::as_str) {
            Some(detail) => bail!("{server} answers {status}: {detail}"),
            None => bail!("{server} answers {status}"),
        }
    }
    let answer = answer.json().await;
    answer.with_context(|| format!("{server} is not a receiptd server"))
}
