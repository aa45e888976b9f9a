//! A test event, sent by the server if there is one.

use std::time::Duration;

use adapter_http::wire::TestView;
use anyhow::{Context as _, Result, bail, ensure};
use domain::SubscriptionId;
use serde::Serialize;
use usecases::ManageSubscriptions;

use crate::commands::{http_client, kept_admin_token};
use crate::config::Settings;
use crate::output;

/// How long the server may take: longer than the target may.
const SERVER_LIMIT: Duration = Duration::from_secs(20);

/// What came of a test, and who has carried it out.
#[derive(Serialize)]
struct Tested {
    /// `server` or `command`: where the settings come from.
    settings: &'static str,
    #[serde(flatten)]
    view: TestView,
}

/// Sends a test event and says what the target did. Fails if it did not take it.
pub(super) async fn run(
    settings: &Settings,
    manage: &ManageSubscriptions,
    json: bool,
    id: SubscriptionId,
) -> Result<()> {
    let tested = match ask_server(settings, id).await {
        Ok(view) => Tested {
            settings: "server",
            view,
        },
        Err(error) => {
            output::hint(format!(
                "The server did not carry this out ({error:#}): this command does, with its own \
                 settings, which may differ (RECEIPTD_PUSH_PRIVATE_TARGETS, RECEIPTD_PUSH_CA_FILE, \
                 RECEIPTD_PUSH_PROXY)."
            ));
            Tested {
                settings: "command",
                view: TestView::new(&manage.test(id).await?),
            }
        }
    };
    if json {
        output::json(&tested)?;
    } else if let Some(status) = tested.view.status {
        output::line(format!("answered {status}"));
    }
    match tested.view.error {
        None => Ok(()),
        Some(error) => bail!("the test event was not taken: {error}"),
    }
}

/// Has the server at `RECEIPTD_ADMIN_LISTEN` send the event.
async fn ask_server(settings: &Settings, id: SubscriptionId) -> Result<TestView> {
    let server = settings.admin_url();
    let url = format!("{server}/api/v1/subscriptions/{id}/test");
    let token = kept_admin_token(settings)?;
    let client = http_client(SERVER_LIMIT)?;
    let answer = client.post(url).bearer_auth(token).send().await;
    let answer = answer
        .ok()
        .with_context(|| format!("{server} does not answer"))?;
    let status = answer.status();
    ensure!(status.is_success(), "{server} answers {status}");
    answer
        .json()
        .await
        .with_context(|| format!("{server} is another program"))
}
