//! Sends a test report to a channel, through the running server.

use std::time::Duration;

use adapter_http::wire::ChannelTestView;
use anyhow::{Result, bail};
use domain::ChannelId;

use super::server_api;
use crate::config::Settings;
use crate::{output, view};

/// Longer than all steps may take.
const SERVER_TIMEOUT: Duration = Duration::from_mins(1);

/// Tests a channel and prints the steps. Fails if a step failed.
pub async fn run(settings: &Settings, json: bool, id: &str) -> Result<()> {
    let id = ChannelId::parse(id)?;
    let path = format!("/api/v1/channels/{id}/test");
    let report: ChannelTestView = server_api::post(settings, &path, SERVER_TIMEOUT).await?;
    if json {
        output::json(&report)?;
    } else {
        output::line(&report.url);
        let columns = [
            ("STEP", "step"),
            ("RESULT", "outcome"),
            ("MS", "took_ms"),
            ("DETAIL", "detail"),
        ];
        view::table(&report.steps, &columns, "no steps")?;
    }
    if report.passed {
        return Ok(());
    }
    bail!("channel {id} does not receive reports at its public URL")
}
