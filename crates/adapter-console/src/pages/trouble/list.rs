//! The list of troubles.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;
use domain::access::Permission;
use domain::page::PageSize;
use domain::trouble::{Trouble, TroubleId};
use ports::troubles::TroubleFilter;

use super::subject::{Subjects, path};
use super::trouble_id;
use crate::console::{Console, names};
use crate::error::PageError;
use crate::fields::Fields;
use crate::form::FormView;
use crate::html::Html;
use crate::page::{self, Page, Section};
use crate::status::chip;
use crate::visit::Visit;

/// Resolved troubles on a page.
const RESOLVED: u16 = 50;

/// An open trouble.
struct OpenTrouble {
    id: String,
    chip: Html,
    title: &'static str,
    name: String,
    path: String,
    seen: String,
    advice: &'static str,
    since: Html,
    opened: Html,
    notice: Option<Html>,
    snooze: Option<SnoozeView>,
    /// The reason that was entered in a form that was not accepted.
    reason: String,
    /// Why it was not accepted.
    problem: Option<String>,
}

/// A snooze.
struct SnoozeView {
    until: Html,
    reason: String,
    by: String,
}

/// A resolved trouble.
struct ResolvedTrouble {
    title: &'static str,
    name: String,
    path: String,
    seen: String,
    opened: Html,
    resolved: Html,
    lasted: String,
}

#[derive(Template)]
#[template(path = "trouble/list.html")]
struct TroublePage {
    page: Page,
    open: Vec<OpenTrouble>,
    snoozed: Vec<OpenTrouble>,
    resolved: Vec<ResolvedTrouble>,
    next: Option<String>,
    first: bool,
    durations: [(u16, &'static str); 6],
    may_change: bool,
}

/// How long a trouble can be snoozed: hours and words.
pub(super) const SNOOZES: [(u16, &str); 6] = [
    (1, "1 hour"),
    (4, "4 hours"),
    (24, "1 day"),
    (72, "3 days"),
    (168, "1 week"),
    (720, "30 days"),
];

/// Shows the troubles.
pub(crate) async fn show(console: Data<Console>, visit: Visit) -> Result<HttpResponse, PageError> {
    show_with(&console, &visit, StatusCode::OK, None).await
}

/// Shows the troubles, with a form that was not accepted.
pub(super) async fn show_with(
    console: &Console,
    visit: &Visit,
    status: StatusCode,
    refused: Option<(TroubleId, FormView)>,
) -> Result<HttpResponse, PageError> {
    let troubles = &console.state.troubles;
    let after = visit.query.get("after").map(trouble_id).transpose()?;
    let filter = TroubleFilter {
        resolved: Some(true),
        channel: None,
    };
    let size = PageSize::new(RESOLVED).unwrap_or_default();
    let resolved = console.run(troubles.list(&filter, after, size)).await?;
    let open = console.run(troubles.open()).await?;
    let names = names(&console.channels().await?);
    let subscriptions = console.run(console.state.subscriptions.list()).await?;
    let subjects = Subjects::new(&names, &subscriptions);
    let view = |trouble: &Trouble| {
        let form = refused.as_ref().filter(|(id, _)| *id == trouble.id);
        open_trouble(visit, &subjects, trouble, form.map(|(_, form)| form))
    };
    let (snoozed, open): (Vec<_>, Vec<_>) = open
        .iter()
        .partition(|trouble| trouble.is_snoozed(visit.times.now()));
    let next = resolved.next.map(|next| {
        let query = Fields::default().with("after", Some(&next.to_string()));
        format!("{}{}", super::PATH, query.query())
    });
    let template = TroublePage {
        open: open.into_iter().map(view).collect(),
        snoozed: snoozed.into_iter().map(view).collect(),
        resolved: resolved
            .items
            .iter()
            .map(|trouble| resolved_trouble(visit, &subjects, trouble))
            .collect(),
        next,
        first: after.is_none(),
        durations: SNOOZES,
        may_change: visit.viewer.may(Permission::Change),
        page: visit.page("Trouble", Section::Trouble),
    };
    page::show_as(status, &template)
}

fn open_trouble(
    visit: &Visit,
    subjects: &Subjects<'_>,
    trouble: &Trouble,
    form: Option<&FormView>,
) -> OpenTrouble {
    let (times, kind) = (&visit.times, trouble.key.kind);
    let snooze = trouble.snooze.as_ref();
    let snooze = snooze.filter(|snooze| snooze.lasts_at(times.now()));
    let opened_at = trouble.state.opened_at().unwrap_or(trouble.judged);
    OpenTrouble {
        id: trouble.id.to_string(),
        chip: if snooze.is_some() {
            chip("waiting", "quiet", "Snoozed")
        } else {
            chip("failed", "failed", "Open")
        },
        title: kind.title(),
        name: subjects.name(&trouble.key.subject),
        path: path(kind, &trouble.key.subject),
        seen: trouble.finding.seen.clone(),
        advice: kind.advice(),
        since: times.minute(trouble.finding.since),
        opened: times.relative(opened_at),
        notice: trouble.notices.last_at.map(|at| times.relative(at)),
        snooze: snooze.map(|snooze| SnoozeView {
            until: times.minute(snooze.until),
            reason: snooze.reason.as_str().to_owned(),
            by: snooze.by.to_string(),
        }),
        problem: form.and_then(|form| {
            let problem = form.errors.list().first();
            problem.map(|(_, problem)| problem.clone())
        }),
        reason: form
            .map_or("", |form| form.fields.text("reason"))
            .to_owned(),
    }
}

fn resolved_trouble(visit: &Visit, subjects: &Subjects<'_>, trouble: &Trouble) -> ResolvedTrouble {
    let (times, kind) = (&visit.times, trouble.key.kind);
    let opened_at = trouble.state.opened_at().unwrap_or(trouble.judged);
    let resolved_at = trouble.state.resolved_at().unwrap_or(opened_at);
    let lasted = resolved_at.unix_micros() - opened_at.unix_micros();
    ResolvedTrouble {
        title: kind.title(),
        name: subjects.name(&trouble.key.subject),
        path: path(kind, &trouble.key.subject),
        seen: trouble.finding.seen.clone(),
        opened: times.minute(opened_at),
        resolved: times.minute(resolved_at),
        lasted: crate::time::duration(lasted),
    }
}
