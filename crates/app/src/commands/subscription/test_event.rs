//! Sends a test event, through the server if one is running.

use std::time::Duration;

use adapter_http::wire::TestView;
use anyhow::{Context as _, Result, bail, ensure};
use domain::SubscriptionId;
use serde::Serialize;
use usecases::ManageSubscriptions;

use crate::commands::http_client;
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
    let outcome = match through_server(settings, id).await {
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

/// Makes the server at `RECEIPTD_ADMIN_LISTEN` send the event.
async fn through_server(settings: &Settings, id: SubscriptionId) -> Result<TestView> {
    let server = settings.listeners.admin_url();
    let url = format!("{server}/api/v1/subscriptions/{id}/test");
    let token = settings.stored_admin_token()?;
    let client = http_client::create(SERVER_TIMEOUT)?;
    let answer = client.post(url).bearer_auth(token).send().await;
    let answer = answer
        .ok()
        .with_context(|| format!("{server} does not answer"))?;
    let status = answer.status();
    ensure!(status.is_success(), "{server} answers {status}");
    let view = answer.json().await;
    view.with_context(|| format!("{server} is not a receiptd server"))
}
