//! Erasures of recipients: the list, and the form that erases one.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;
use domain::access::{AuditAction, Permission};
use domain::erasure::{ErasureReason, RequestedVia};
use domain::page::PageSize;
use domain::{Erasure, ErasureId, Recipient};
use usecases::erasure::{EraseError, EraseRequest};

use crate::console::Console;
use crate::error::PageError;
use crate::fields::Form;
use crate::form::FormView;
use crate::html::Html;
use crate::number::grouped;
use crate::page::{self, Page, Section};
use crate::status::chip;
use crate::visit::Visit;

/// How long the form waits for the end; a background task does the rest.
const WAIT: Duration = Duration::from_secs(2);

struct Row {
    recipient: String,
    reason: Option<String>,
    via: &'static str,
    asked: Html,
    state: Html,
    messages: String,
    reports: String,
}

#[derive(Template)]
#[template(path = "erasures.html")]
struct ErasuresPage {
    page: Page,
    rows: Vec<Row>,
    form: FormView,
    may_erase: bool,
    next: Option<String>,
    first: bool,
}

/// Shows erasures, newest first.
pub(crate) async fn show(console: Data<Console>, visit: Visit) -> Result<HttpResponse, PageError> {
    show_with(&console, &visit, StatusCode::OK, FormView::default()).await
}

async fn show_with(
    console: &Console,
    visit: &Visit,
    status: StatusCode,
    form: FormView,
) -> Result<HttpResponse, PageError> {
    let after = visit.query.get("after").map(str::parse::<ErasureId>);
    let invalid = |_| PageError::Invalid("this page of the list is not valid".to_owned());
    let after = after.transpose().map_err(invalid)?;
    let list = console.state.erasures.run(after, PageSize::default());
    let found = console.run(list).await?;
    let template = ErasuresPage {
        rows: found
            .items
            .iter()
            .map(|erasure| row(visit, erasure))
            .collect(),
        form,
        may_erase: visit.viewer.may(Permission::Administer),
        next: found
            .next
            .map(|next| format!("/console/erasures?after={next}")),
        first: after.is_some(),
        page: visit.page("Erasures", Section::Erasures),
    };
    page::show_as(status, &template)
}

fn row(visit: &Visit, erasure: &Erasure) -> Row {
    Row {
        recipient: erasure.masked.clone(),
        reason: erasure.reason.as_ref().map(|it| it.as_str().to_owned()),
        via: match erasure.asked_through {
            RequestedVia::Api => "API or console",
            RequestedVia::CommandLine => "command line",
        },
        asked: visit.times.minute(erasure.asked_at),
        state: match erasure.finished_at {
            Some(_) => chip("delivered", "sent", "Finished"),
            None => chip("caution", "quiet", "Running"),
        },
        messages: grouped(erasure.messages),
        reports: grouped(erasure.reports),
    }
}

/// Erases a recipient.
pub(crate) async fn erase(
    console: Data<Console>,
    visit: Visit,
    form: Form,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Administer)?;
    let mut form = FormView::with(form.0);
    let FormView { fields, errors } = &mut form;
    let recipient = errors.check("recipient", Recipient::parse(fields.text("recipient")));
    let reason = fields.get("reason").map(ErasureReason::parse).transpose();
    let reason = errors.check("reason", reason).flatten();
    if !fields.ticked("sure") {
        errors.add("sure", "tick the box: an erasure cannot be undone");
    }
    let request = match recipient {
        Some(recipient) if errors.is_empty() => EraseRequest {
            recipient,
            reason,
            via: RequestedVia::Api,
        },
        _ => return show_with(&console, &visit, StatusCode::BAD_REQUEST, form).await,
    };
    match console.run(console.state.erase.run(&request, WAIT)).await {
        Ok(erasure) => {
            let id = erasure.id.to_string();
            console
                .audit(&visit, AuditAction::RecipientErase, &id, "")
                .await;
            Ok(page::redirect("/console/erasures?done=recipient-erased"))
        }
        Err(error @ EraseError::ReasonNamesRecipient) => {
            form.errors.add("reason", error.to_string());
            show_with(&console, &visit, StatusCode::BAD_REQUEST, form).await
        }
        Err(EraseError::Store(error)) => Err(error.into()),
    }
}
