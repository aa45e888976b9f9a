//! Sessions of the console.

use std::collections::HashMap;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use askama::Template;
use domain::access::{Permission, Session, SessionId};
use domain::page::PageSize;

use crate::console::Console;
use crate::error::PageError;
use crate::html::Html;
use crate::page::{self, Page, Section};
use crate::visit::Visit;

struct Row {
    operator: String,
    is_own: bool,
    source: String,
    started: Html,
    used: Html,
    expires: Html,
    end_path: String,
}

#[derive(Template)]
#[template(path = "access/sessions.html")]
struct SessionsPage {
    page: Page,
    rows: Vec<Row>,
}

/// Shows the live sessions: all for an admin, otherwise those of the operator's own token.
pub(crate) async fn show(console: Data<Console>, visit: Visit) -> Result<HttpResponse, PageError> {
    let access = &console.state.access;
    let sessions = console.run(access.sessions.list(PageSize::MAX)).await?;
    let tokens = console.run(access.tokens.list()).await?;
    let names: HashMap<_, _> = tokens
        .into_iter()
        .map(|(token, _)| (token.id, token.name.to_string()))
        .collect();
    let own = &visit.viewer.session;
    let sees_all = visit.viewer.may(Permission::Administer);
    let row = |session: &Session| Row {
        operator: names
            .get(&session.token)
            .cloned()
            .unwrap_or_else(|| "admin".to_owned()),
        is_own: session.id == own.session.id,
        source: session.source.to_string(),
        started: visit.times.minute(session.started_at),
        used: visit.times.relative(session.last_used_at),
        expires: visit.times.relative(session.expires_at),
        end_path: format!("/console/sessions/{}/end", session.id),
    };
    let shown = sessions
        .iter()
        .filter(|session| sees_all || session.token == own.session.token);
    page::show(&SessionsPage {
        rows: shown.map(row).collect(),
        page: visit.page("Sessions", Section::Sessions),
    })
}

/// Ends a session: any as an admin, otherwise one of the operator's own token.
pub(crate) async fn end(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
) -> Result<HttpResponse, PageError> {
    let missing = || PageError::NotFound("such session".to_owned());
    let id: SessionId = path.parse().map_err(|_| missing())?;
    let sessions = &console.state.access.sessions;
    let own = &visit.viewer.session.session;
    if !visit.viewer.may(Permission::Administer) {
        let listed = console.run(sessions.list(PageSize::MAX)).await?;
        let found = listed.iter().find(|session| session.id == id);
        if found.is_none_or(|session| session.token != own.token) {
            return Err(missing());
        }
    }
    if console.run(sessions.end(id, &visit.viewer.actor())).await? {
        Ok(page::redirect("/console/sessions?done=session-ended"))
    } else {
        Err(missing())
    }
}
