//! The account of a channel for reconciliation: its form, and what reconciliation did.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use askama::Template;
use domain::ChannelId;
use domain::access::{AuditAction, Permission};
use domain::reconciliation::{AccountSid, ApiKeySecret, ApiKeySid, Reconciliation};
use usecases::reconciliation::{AccountError, NewAccount};

use crate::console::Console;
use crate::error::PageError;
use crate::fields::{Fields, Form};
use crate::form::FormView;
use crate::html::Html;
use crate::number::count;
use crate::page::{self, Page, Section};
use crate::visit::Visit;

/// What reconciliation of a channel did.
pub(crate) struct Reconciled {
    pub(crate) account: String,
    pub(crate) last_run: Option<Html>,
    pub(crate) checked: String,
    pub(crate) recovered: String,
    /// The share of callbacks that did not arrive.
    pub(crate) lost: Option<String>,
    pub(crate) error: Option<String>,
}

/// The messages of which Twilio could not deliver a report.
pub(crate) struct Alerted {
    pub(crate) messages: String,
    pub(crate) last: Html,
}

impl Alerted {
    /// Reads those of a channel; `None` if there are none.
    pub(crate) async fn read(
        console: &Console,
        visit: &Visit,
        id: &ChannelId,
    ) -> Result<Option<Self>, PageError> {
        let alerted = console
            .run(console.state.reconciliation.alerted(id))
            .await?;
        Ok(alerted.last_at.map(|at| Self {
            messages: count(alerted.count, "message", "messages"),
            last: visit.times.relative(at),
        }))
    }
}

impl Reconciled {
    /// Reads the figures of a channel; `None` if it has no account.
    pub(crate) async fn read(
        console: &Console,
        visit: &Visit,
        id: &ChannelId,
    ) -> Result<Option<Self>, PageError> {
        let found = console.run(console.state.reconciliation.show(id)).await?;
        Ok(found.map(|found| Self::new(visit, found)))
    }

    fn new(visit: &Visit, found: Reconciliation) -> Self {
        let figures = found.figures;
        let lost = figures.lost_share().map(|share| {
            let listed = count(figures.listed, "message", "messages");
            format!("{:.1} % of {listed}", share * 100.0)
        });
        Self {
            account: found.account.account.to_string(),
            last_run: figures.last_run_at.map(|at| visit.times.relative(at)),
            checked: count(figures.checked, "message", "messages"),
            recovered: count(figures.recovered, "report", "reports"),
            lost,
            error: figures.last_error,
        }
    }
}

#[derive(Template)]
#[template(path = "channels/reconciliation.html")]
struct AccountPage {
    page: Page,
    form: FormView,
    path: String,
    name: String,
    /// Whether there is an account.
    stored: bool,
    may_change: bool,
}

/// Shows the form.
pub(crate) async fn show(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
) -> Result<HttpResponse, PageError> {
    let id = super::channel_id(&path)?;
    let found = console.run(console.state.reconciliation.show(&id)).await?;
    let account = found.as_ref().map(|found| &found.account);
    let fields = Fields::default()
        .with("account_sid", account.map(|it| it.account.as_str()))
        .with("api_key_sid", account.map(|it| it.api_key.as_str()));
    let template = account_page(&console, &visit, &id, FormView::with(fields)).await?;
    page::show(&template)
}

async fn account_page(
    console: &Console,
    visit: &Visit,
    id: &ChannelId,
    form: FormView,
) -> Result<AccountPage, PageError> {
    let channel = console.run(console.state.channels.show(id)).await?.channel;
    let found = console.run(console.state.reconciliation.show(id)).await?;
    Ok(AccountPage {
        page: visit.page(format!("Reconcile {}", channel.name), Section::Channels),
        form,
        path: super::path(id),
        name: channel.name.to_string(),
        stored: found.is_some(),
        may_change: visit.viewer.may(Permission::Change),
    })
}

/// Stores the account.
pub(crate) async fn change(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
    form: Form,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    let id = super::channel_id(&path)?;
    let mut form = FormView::with(form.0);
    let Some(new) = parse(&mut form) else {
        let template = account_page(&console, &visit, &id, form).await?;
        return page::show_as(StatusCode::BAD_REQUEST, &template);
    };
    let storing = console.state.reconciliation.set(&id, &new);
    console.run(storing).await?;
    done(&console, &visit, &id).await
}

fn parse(form: &mut FormView) -> Option<NewAccount> {
    let FormView { fields, errors } = form;
    let account = AccountSid::parse(fields.text("account_sid").trim());
    let api_key = ApiKeySid::parse(fields.text("api_key_sid").trim());
    let secret = ApiKeySecret::parse(fields.text("api_key_secret").trim());
    let account = errors.check("account_sid", account);
    let api_key = errors.check("api_key_sid", api_key);
    let secret = errors.check("api_key_secret", secret);
    Some(NewAccount {
        account: account?,
        api_key: api_key?,
        secret: secret?,
    })
}

/// Removes the account.
pub(crate) async fn remove(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Change)?;
    let id = super::channel_id(&path)?;
    let removing = console.state.reconciliation.remove(&id);
    console.run(removing).await?;
    done(&console, &visit, &id).await
}

async fn done(console: &Console, visit: &Visit, id: &ChannelId) -> Result<HttpResponse, PageError> {
    let details = "reconciliation account";
    console
        .audit(visit, AuditAction::ChannelChange, id.as_str(), details)
        .await;
    let path = super::path(id);
    Ok(page::redirect(&format!("{path}?done=account-changed")))
}

impl From<AccountError> for PageError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::NoSuchChannel(_) => Self::NotFound("such channel".to_owned()),
            AccountError::NoAccount(_) | AccountError::NoRecords(_) => {
                Self::Conflict(error.to_string())
            }
            AccountError::Store(error) => Self::Store(error),
        }
    }
}
