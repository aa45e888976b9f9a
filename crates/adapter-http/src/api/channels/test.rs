//! Sending a test report to a channel.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use serde::{Deserialize, Serialize};
use usecases::channels::test_steps::{ChannelTestReport, TestStep};
use utoipa::ToSchema;

use crate::api::error::ApiResult;
use crate::api::operator::Operator;
use crate::api::path::channel_id;

/// The result of a test of a channel.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ChannelTestView {
    /// Whether the channel receives reports: no step failed.
    pub passed: bool,
    /// The URL that was called, without its query.
    #[schema(example = "https://reports.example.com/social/on/whatsapp/twilio/report/1")]
    pub url: String,
    /// The id of the test message, which is stored if no step failed.
    pub message_sid: String,
    /// When the server's certificate expires; `null` without TLS, or if there was no handshake.
    pub certificate_expires_at: Option<String>,
    /// All steps, in order.
    pub steps: Vec<TestStepView>,
}

/// A step of a test.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct TestStepView {
    /// `dns`, `tcp`, `tls`, `challenge`, `report` or `message`.
    #[schema(example = "dns")]
    pub step: String,
    /// `passed`, `warning`, `failed` or `skipped`.
    #[schema(example = "passed")]
    pub outcome: String,
    /// What was found, and what to do if it failed.
    pub detail: String,
    /// How long it took in milliseconds; `null` if it was not tried.
    pub took_ms: Option<u64>,
}

impl ChannelTestView {
    fn new(report: &ChannelTestReport) -> Self {
        let own = report.certificates.first();
        Self {
            passed: report.passed(),
            url: report.url.clone(),
            message_sid: report.message.sid.to_string(),
            certificate_expires_at: own.map(|own| own.expires_at.to_string()),
            steps: report.steps.iter().map(TestStepView::new).collect(),
        }
    }
}

impl TestStepView {
    fn new(step: &TestStep) -> Self {
        let millis = |took: std::time::Duration| u64::try_from(took.as_millis());
        Self {
            step: step.kind.as_str().to_owned(),
            outcome: step.outcome.as_str().to_owned(),
            detail: step.detail.clone(),
            took_ms: step.took.map(|took| millis(took).unwrap_or(u64::MAX)),
        }
    }
}

/// Send a test report to the public URL of a channel, as its integrator does
///
/// The report is authenticated by a temporary credential. Its message is shown as a test message,
/// counts in no statistics and has no events.
#[utoipa::path(
    post, path = "/api/v1/channels/{channel}/test",
    operation_id = "test_channel",
    tag = "channels",
    params(("channel" = String, Path, description = "The channel id")),
    responses((status = 200, body = ChannelTestView)),
)]
pub(crate) async fn test(operator: Data<Operator>, path: Path<String>) -> ApiResult {
    let id = channel_id(&path)?;
    let report = operator.run(operator.state.test_channel.run(&id)).await?;
    Ok(HttpResponse::Ok().json(ChannelTestView::new(&report)))
}
