//! The audit log: who changed and saw what.

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use domain::access::audit::{AuditDetails, AuditObject};
use domain::access::{
    AuditAction, AuditEntry, AuditEntryId, AuditFilter, OperatorName, Permission,
};
use domain::page::PageSize;

use crate::console::Console;
use crate::csv::{self, CsvRows};
use crate::error::PageError;
use crate::fields::Fields;
use crate::html::Html;
use crate::page::{self, Choice, Page, Section};
use crate::visit::Visit;

struct Row {
    at: Html,
    operator: String,
    operator_path: String,
    action: &'static str,
    object: Option<String>,
    details: Option<String>,
    source: Option<String>,
}

#[derive(Template)]
#[template(path = "access/audit.html")]
struct AuditPage {
    page: Page,
    rows: Vec<Row>,
    actions: Vec<Choice>,
    operator: String,
    object: String,
    csv: String,
    next: Option<String>,
    first: Option<String>,
    narrow: bool,
}

fn filter(query: &Fields) -> Result<AuditFilter, PageError> {
    let invalid = |error: &dyn std::fmt::Display| PageError::Invalid(error.to_string());
    let operator = query.get("operator").map(OperatorName::parse).transpose();
    let action = query.get("action").map(str::parse::<AuditAction>);
    Ok(AuditFilter {
        operator: operator.map_err(|error| invalid(&error))?,
        action: action.transpose().map_err(|error| invalid(&error))?,
        object: query.get("object").map(AuditObject::new),
        since: None,
        until: None,
    })
}

fn list_path(query: &Fields) -> String {
    format!("/console/audit{}", query.query())
}

/// Shows the audit log, newest first.
pub(crate) async fn show(console: Data<Console>, visit: Visit) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Audit)?;
    let filter = filter(&visit.query)?;
    let after = visit.query.get("after").map(str::parse::<AuditEntryId>);
    let invalid = |_| PageError::Invalid("this page of the list is not valid".to_owned());
    let after = after.transpose().map_err(invalid)?;
    let log = &console.state.access.audit_log;
    let found = console
        .run(log.run(&filter, after, PageSize::default()))
        .await?;
    let unpaged = visit.query.with("after", None);
    let next = found
        .next
        .map(|next| list_path(&unpaged.with("after", Some(&next.to_string()))));
    page::show(&AuditPage {
        rows: found.items.iter().map(|entry| row(&visit, entry)).collect(),
        actions: AuditAction::ALL
            .iter()
            .map(|action| Choice {
                value: action.as_str().to_owned(),
                word: action.as_str().to_owned(),
                chosen: filter.action == Some(*action),
            })
            .collect(),
        operator: unpaged.get("operator").unwrap_or_default().to_owned(),
        object: unpaged.get("object").unwrap_or_default().to_owned(),
        csv: format!("/console/audit.csv{}", unpaged.query()),
        next,
        first: after.is_some().then(|| list_path(&unpaged)),
        narrow: filter != AuditFilter::default(),
        page: visit.page("Audit", Section::Audit),
    })
}

fn row(visit: &Visit, entry: &AuditEntry) -> Row {
    let operator = entry.operator.as_str();
    let of_operator = Fields::default().with("operator", Some(operator));
    Row {
        at: visit.times.clock(entry.at),
        operator: operator.to_owned(),
        operator_path: list_path(&of_operator),
        action: entry.action.as_str(),
        object: entry.object.as_ref().map(|it| it.as_str().to_owned()),
        details: entry.details.as_ref().map(|it| it.as_str().to_owned()),
        source: entry.source.map(|source| source.to_string()),
    }
}

/// Exports the entries that the filter in the query passes, after recording that.
pub(crate) async fn export(
    console: Data<Console>,
    visit: Visit,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Audit)?;
    let filter = filter(&visit.query)?;
    let access = &console.state.access;
    csv::audit(&console, &visit, "audit").await?;
    let mut rows = CsvRows::new();
    rows.row(["at", "operator", "action", "object", "details", "source"]);
    let mut after = None;
    for _ in 0..csv::MAX_PAGES {
        let found = console
            .run(access.audit_log.run(&filter, after, PageSize::MAX))
            .await?;
        for entry in &found.items {
            rows.row([
                entry.at.to_string(),
                entry.operator.to_string(),
                entry.action.as_str().to_owned(),
                entry
                    .object
                    .as_ref()
                    .map_or("", AuditObject::as_str)
                    .to_owned(),
                entry
                    .details
                    .as_ref()
                    .map_or("", AuditDetails::as_str)
                    .to_owned(),
                entry.source.map(|it| it.to_string()).unwrap_or_default(),
            ]);
        }
        after = found.next;
        if after.is_none() {
            break;
        }
    }
    Ok(rows.download("audit.csv"))
}
