//! Saved views: names for pages with their filters, for all operators.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use domain::access::{AuditAction, Permission};
use domain::{ConsolePath, SavedView, SavedViewId, SavedViewName};
use ports::error::error_chain;
use ports::saved_views::SavedViewChange;

use super::preferences::local_path;
use crate::console::Console;
use crate::error::PageError;
use crate::fields::{Fields, Form};
use crate::notice;
use crate::page;
use crate::visit::Visit;

/// A saved view in the menu.
pub(crate) struct ViewItem {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) remove_path: String,
}

/// The menu of saved views on a page.
pub(crate) struct ViewsMenu {
    pub(crate) items: Vec<ViewItem>,
    /// What would be saved.
    pub(crate) current: String,
    pub(crate) may_change: bool,
}

impl ViewsMenu {
    /// Reads the menu of a page below `/console`. Without the store it is empty.
    pub(crate) async fn read(console: &Console, visit: &Visit, page: &str) -> Self {
        let views = console.run(console.state.views.list()).await;
        let views = views.unwrap_or_else(|error| {
            let error = error_chain(&error);
            tracing::warn!(error, "saved views cannot be shown");
            Vec::new()
        });
        let item = |view: SavedView| ViewItem {
            name: view.name.to_string(),
            path: view.path.as_str().to_owned(),
            remove_path: format!("/console/views/{}/remove", view.id),
        };
        // A place in the list is not worth a name, and a recipient is personal data.
        let query = ["after", "to", notice::PARAMETER]
            .iter()
            .fold(visit.query.clone(), |query, name| query.with(name, None));
        Self {
            items: views.into_iter().map(item).collect(),
            current: format!("/console/{page}{}", query.query()),
            may_change: visit.viewer.may(Permission::Change),
        }
    }
}

/// Saves a page under a name.
pub(crate) async fn save(
    console: Data<Console>,
    visit: Visit,
    form: Form,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    let invalid = |error: &dyn std::fmt::Display| PageError::Invalid(error.to_string());
    let name = SavedViewName::parse(form.0.text("name").trim()).map_err(|it| invalid(&it))?;
    let path = ConsolePath::parse(form.0.text("path")).map_err(|it| invalid(&it))?;
    let saving = console.state.views.save(name.clone(), path.clone());
    match console.run(saving).await? {
        SavedViewChange::Done => {}
        SavedViewChange::Exists => {
            let taken = format!("there is a view {name} already");
            return Err(PageError::Conflict(taken));
        }
        SavedViewChange::Full => {
            let full = "there are too many views; remove one first".to_owned();
            return Err(PageError::Conflict(full));
        }
    }
    console
        .audit(&visit, AuditAction::ViewSave, name.as_str(), "")
        .await;
    Ok(page::redirect(&noting(path.as_str(), "view-saved")))
}

/// Removes a view and returns to the page that asked for it.
pub(crate) async fn remove(
    console: Data<Console>,
    visit: Visit,
    id: Path<String>,
    form: Form,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    let missing = || PageError::NotFound("such view".to_owned());
    let id = id.parse().map(SavedViewId).map_err(|_| missing())?;
    let removed = console.run(console.state.views.remove(id)).await?;
    let view = removed.ok_or_else(missing)?;
    let name = view.name.as_str();
    console
        .audit(&visit, AuditAction::ViewRemove, name, "")
        .await;
    let back = local_path(form.0.text("path"));
    Ok(page::redirect(&noting(back, "view-removed")))
}

/// Returns the URL of a page of the console that says what was done.
fn noting(path: &str, done: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let query = Fields::parse(query.as_bytes()).with(notice::PARAMETER, Some(done));
    format!("{path}{}", query.query())
}
