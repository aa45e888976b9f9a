//! Sends a test event, through the server if one is running.

use std::time::Duration;

use adapter_http::wire::TestView;
use anyhow::{Result, bail};
use domain::SubscriptionId;
use serde::Serialize;
use usecases::ManageSubscriptions;

use crate::commands::server_api;
use crate::config::Settings;
use crate::output;

/// Longer than the endpoint may take.
const SERVER_TIMEOUT: Duration = Duration::from_secs(20);

/// The result of a test, and whose settings it used.
#[derive(Serialize)]
struct TestOutcome {
    /// `server` or `command`.
    settings: &'static str,
    #[serde(flatten)]
    view: TestView,
}

/// Sends a test event and prints the endpoint's answer. Fails if the event was not accepted.
pub async fn run(
    settings: &Settings,
    manage: &ManageSubscriptions,
    json: bool,
    id: SubscriptionId,
) -> Result<()> {
    let path = format!("/api/v1/subscriptions/{id}/test");
    let outcome = match server_api::post(settings, &path, SERVER_TIMEOUT).await {
        Ok(view) => TestOutcome {
            settings: "server",
            view,
        },
        Err(error) => {
            output::hint(format!(
                "The server did not send the event ({error:#}). This command sends it with its \
                 own settings, which may differ (RECEIPTD_PUSH_PRIVATE_TARGETS, \
                 RECEIPTD_PUSH_CA_FILE, RECEIPTD_PUSH_PROXY)."
            ));
            TestOutcome {
                settings: "command",
                view: TestView::new(&manage.test(id).await?),
            }
        }
    };
    if json {
        output::json(&outcome)?;
    } else if let Some(status) = outcome.view.status {
        output::line(format!("answered {status}"));
    }
    match outcome.view.error {
        None => Ok(()),
        Some(error) => bail!("the endpoint did not accept the test event: {error}"),
    }
}
