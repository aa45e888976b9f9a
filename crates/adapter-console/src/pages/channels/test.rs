//! Sending a test report to a channel, step by step.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use askama::Template;
use domain::access::{AuditAction, Permission};
use usecases::channels::test_steps::{StepOutcome, TestStep};

use crate::console::Console;
use crate::error::PageError;
use crate::html::Html;
use crate::page::{self, Page, Section};
use crate::pages::messages;
use crate::status::chip;
use crate::time::duration;
use crate::visit::Visit;

/// A step of the test.
struct StepRow {
    title: &'static str,
    outcome: Html,
    detail: String,
    took: Option<String>,
}

#[derive(Template)]
#[template(path = "channels/tested.html")]
struct TestedPage {
    page: Page,
    path: String,
    name: String,
    url: String,
    passed: bool,
    steps: Vec<StepRow>,
    message: String,
    certificate_expires: Option<Html>,
}

/// Tests a channel and shows the steps.
pub(crate) async fn test(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    let id = super::channel_id(&path)?;
    let found = console.run(console.state.channels.show(&id)).await?;
    let report = console.run(console.state.test_channel.run(&id)).await?;
    let passed = report.passed();
    let details = if passed { "passed" } else { "failed" };
    console
        .audit(&visit, AuditAction::ChannelTest, id.as_str(), details)
        .await;
    let path = super::path(&id);
    let own = report.certificates.first();
    page::show(&TestedPage {
        name: found.channel.name.to_string(),
        url: report.url,
        passed,
        steps: report.steps.iter().map(row).collect(),
        message: messages::path(&report.message),
        certificate_expires: own.map(|own| visit.times.exact(own.expires_at)),
        page: Page {
            back: path.clone(),
            ..visit.page("Test report", Section::Channels)
        },
        path,
    })
}

fn row(step: &TestStep) -> StepRow {
    let took = step.took.map(|took| took.as_micros());
    StepRow {
        title: step.kind.title(),
        outcome: outcome(step.outcome),
        detail: step.detail.clone(),
        took: took.map(|took| duration(i64::try_from(took).unwrap_or(i64::MAX))),
    }
}

fn outcome(outcome: StepOutcome) -> Html {
    match outcome {
        StepOutcome::Passed => chip("delivered", "sent", "Passed"),
        StepOutcome::Warning => chip("caution", "failed", "Warning"),
        StepOutcome::Failed => chip("failed", "failed", "Failed"),
        StepOutcome::Skipped => chip("waiting", "off", "Not tried"),
    }
}
