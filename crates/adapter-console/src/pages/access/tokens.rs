//! Tokens of operators: the list, making one, revoking one.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use askama::Template;
use domain::access::{
    AuditAction, OperatorName, OperatorToken, OperatorTokenId, Permission, Rights, Role, TokenState,
};
use usecases::access::manage_tokens::{NewToken, TokenError};

use super::role_words;
use crate::console::Console;
use crate::error::PageError;
use crate::fields::Form;
use crate::form::FormView;
use crate::html::Html;
use crate::page::{self, Page, Section};
use crate::status::chip;
use crate::visit::Visit;

const DAY_MICROS: i64 = 86_400_000_000;

/// The longest life of a token, in days.
const MAX_DAYS: i64 = 3_650;

struct Row {
    name: String,
    role: String,
    state: Html,
    created: Html,
    expires: Option<Html>,
    used: Option<Html>,
    revoke_path: Option<String>,
}

#[derive(Template)]
#[template(path = "access/tokens.html")]
struct TokensPage {
    page: Page,
    rows: Vec<Row>,
    form: FormView,
    roles: [(&'static str, &'static str); 3],
}

#[derive(Template)]
#[template(path = "access/token.html")]
struct IssuedPage {
    page: Page,
    name: String,
    role: String,
    token: String,
}

/// Shows all tokens.
pub(crate) async fn show(console: Data<Console>, visit: Visit) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Administer)?;
    show_with(&console, &visit, StatusCode::OK, FormView::default()).await
}

async fn show_with(
    console: &Console,
    visit: &Visit,
    status: StatusCode,
    form: FormView,
) -> Result<HttpResponse, PageError> {
    let tokens = console.run(console.state.access.tokens.list()).await?;
    let template = TokensPage {
        page: visit.page("Tokens", Section::Tokens),
        rows: tokens
            .iter()
            .map(|(token, state)| row(visit, token, *state))
            .collect(),
        form,
        roles: [
            ("viewer", "Viewer: sees everything masked"),
            (
                "operator",
                "Operator: also changes channels and subscriptions",
            ),
            (
                "admin",
                "Admin: also manages tokens, erases recipients and reads the audit log",
            ),
        ],
    };
    page::show_as(status, &template)
}

fn row(visit: &Visit, token: &OperatorToken, state: TokenState) -> Row {
    let times = &visit.times;
    let is_valid = state == TokenState::Valid;
    Row {
        name: token.name.to_string(),
        role: role_words(token.role, token.rights),
        state: match state {
            TokenState::Valid => chip("delivered", "on", "Valid"),
            TokenState::Expired => chip("waiting", "quiet", "Expired"),
            TokenState::Revoked => chip("waiting", "canceled", "Revoked"),
        },
        created: times.minute(token.created_at),
        expires: token.expires_at.map(|end| times.minute(end)),
        used: token.last_used_at.map(|used| times.relative(used)),
        revoke_path: is_valid.then(|| format!("/console/tokens/{}/revoke", token.id)),
    }
}

/// Makes a token and shows it, only this once.
pub(crate) async fn create(
    console: Data<Console>,
    visit: Visit,
    form: Form,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Administer)?;
    let mut form = FormView::with(form.0);
    let Some(new) = parse(&mut form, &visit) else {
        return show_with(&console, &visit, StatusCode::BAD_REQUEST, form).await;
    };
    match console.run(console.state.access.tokens.add(new)).await {
        Ok(issued) => {
            let role = role_words(issued.token.role, issued.token.rights);
            let name = issued.token.name.to_string();
            let details = format!("{name}: {role}");
            let id = issued.token.id.to_string();
            console
                .audit(&visit, AuditAction::TokenAdd, &id, &details)
                .await;
            page::show(&IssuedPage {
                page: Page {
                    back: "/console/tokens".to_owned(),
                    ..visit.page("New token", Section::Tokens)
                },
                name,
                role,
                token: issued.text.reveal().to_owned(),
            })
        }
        Err(TokenError::Store(error)) => Err(error.into()),
        Err(error) => {
            form.errors.add("name", error.to_string());
            show_with(&console, &visit, StatusCode::CONFLICT, form).await
        }
    }
}

fn parse(form: &mut FormView, visit: &Visit) -> Option<NewToken> {
    let FormView { fields, errors } = form;
    let name = errors.check("name", OperatorName::of_token(fields.text("name").trim()));
    let role = errors.check("role", fields.text("role").parse::<Role>());
    let expires_at = fields.get("days").and_then(|days| {
        let days = days
            .parse::<i64>()
            .ok()
            .filter(|days| (1..=MAX_DAYS).contains(days));
        let days = days.ok_or("a token is valid for 1 to 3650 days");
        let days = errors.check("days", days)?;
        Some(visit.times.now().plus_micros(days * DAY_MICROS))
    });
    let new = NewToken {
        name: name?,
        role: role?,
        rights: Rights {
            reveal: fields.ticked("reveal"),
            audit: fields.ticked("audit"),
        },
        expires_at,
    };
    errors.is_empty().then_some(new)
}

/// Revokes a token.
pub(crate) async fn revoke(
    console: Data<Console>,
    visit: Visit,
    path: Path<String>,
) -> Result<HttpResponse, PageError> {
    visit.require(Permission::Administer)?;
    let missing = |_| PageError::NotFound("such token".to_owned());
    let id: OperatorTokenId = path.parse().map_err(missing)?;
    match console.run(console.state.access.tokens.revoke(id)).await {
        Ok(token) => {
            let name = token.name.to_string();
            console
                .audit(&visit, AuditAction::TokenRevoke, &id.to_string(), &name)
                .await;
            Ok(page::redirect("/console/tokens?done=token-revoked"))
        }
        Err(TokenError::Store(error)) => Err(error.into()),
        Err(error) => Err(PageError::NotFound(error.to_string())),
    }
}
