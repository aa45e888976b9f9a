//! About this installation: version, engine, settings, and the health of what it depends on.

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use usecases::health::Condition;

use crate::console::Console;
use crate::error::PageError;
use crate::html::Html;
use crate::page::{self, Page, Section};
use crate::status::chip;
use crate::visit::Visit;

/// A component that the service depends on.
struct ComponentRow {
    name: &'static str,
    condition: Html,
    detail: Option<String>,
}

/// A setting with its value, without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingRow {
    /// The name of its variable.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// What the console says about this installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// The version of the program.
    pub version: &'static str,
    /// The database, without its password.
    pub database: String,
    /// The settings, without secrets.
    pub settings: Vec<SettingRow>,
}

#[derive(Template)]
#[template(path = "about.html")]
struct AboutPage {
    page: Page,
    version: &'static str,
    database: String,
    overall: Html,
    components: Vec<ComponentRow>,
    settings: Vec<SettingRow>,
}

/// Shows the installation.
pub(crate) async fn show(console: Data<Console>, visit: Visit) -> Result<HttpResponse, PageError> {
    let components = console.run(console.state.health.run()).await;
    let worst = components.iter().map(|each| each.condition);
    let worst = worst.max_by_key(|condition| match condition {
        Condition::Ready => 0,
        Condition::Degraded => 1,
        Condition::Down => 2,
    });
    let installation = &console.state.installation;
    page::show(&AboutPage {
        page: visit.page("About", Section::About),
        version: installation.version,
        database: installation.database.clone(),
        overall: condition_chip(worst.unwrap_or(Condition::Ready)),
        components: components
            .into_iter()
            .map(|each| ComponentRow {
                name: name(each.name),
                condition: condition_chip(each.condition),
                detail: each.detail,
            })
            .collect(),
        settings: installation.settings.clone(),
    })
}

fn condition_chip(condition: Condition) -> Html {
    match condition {
        Condition::Ready => chip("delivered", "on", "Ready"),
        Condition::Degraded => chip("caution", "failed", "Degraded"),
        Condition::Down => chip("failed", "failed", "Down"),
    }
}

/// Returns what people call a component.
pub(crate) fn name(name: &'static str) -> &'static str {
    match name {
        "store" => "Database",
        "channels" => "Channels",
        "secret_key" => "Server secret",
        "rejections" => "Settings of channels",
        "journal" => "Journal",
        "retention" => "Retention",
        "subscriptions" => "Subscriptions",
        other => other,
    }
}
