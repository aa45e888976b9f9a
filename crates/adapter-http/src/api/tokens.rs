//! Tokens of operators.

use actix_web::http::{StatusCode, header};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use domain::Timestamp;
use domain::access::{OperatorName, OperatorToken, OperatorTokenId, Rights, Role, TokenState};
use serde::{Deserialize, Serialize};
use usecases::access::manage_tokens::{IssuedToken, NewToken, TokenError};
use utoipa::ToSchema;

use super::authorize::note;
use super::error::{ApiError, ApiResult, invalid, valid};
use super::json_body::Body;
use super::operator::Operator;
use crate::problem::Problem;

/// A token of an operator. Its text is not stored and never shown again.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenView {
    /// Its id.
    #[schema(format = "uuid")]
    pub id: String,
    /// Its name, which the audit log shows.
    #[schema(example = "anna")]
    pub name: String,
    /// `viewer` reads masked data, `operator` also changes channels, subscriptions and cursors,
    /// `admin` also manages tokens, erases recipients and reads the audit log.
    #[schema(example = "operator")]
    pub role: &'static str,
    /// Rights besides the role: `reveal` to see unmasked data, `audit` to read the audit log.
    pub rights: Vec<&'static str>,
    /// `valid`, `expired` or `revoked`.
    #[schema(example = "valid")]
    pub state: &'static str,
    /// When it was created.
    pub created: String,
    /// When it expires; `null` if never.
    pub expires: Option<String>,
    /// When it was last used, to within a minute.
    pub last_used: Option<String>,
    /// When it was revoked.
    pub revoked: Option<String>,
}

impl TokenView {
    /// Shows a token.
    #[must_use]
    pub fn new(token: &OperatorToken, state: TokenState) -> Self {
        let rights = [
            (token.rights.reveal, "reveal"),
            (token.rights.audit, "audit"),
        ];
        let rights = rights.into_iter().filter(|(has, _)| *has);
        Self {
            id: token.id.to_string(),
            name: token.name.to_string(),
            role: token.role.as_str(),
            rights: rights.map(|(_, name)| name).collect(),
            state: state.as_str(),
            created: token.created_at.to_string(),
            expires: token.expires_at.map(|time| time.to_string()),
            last_used: token.last_used_at.map(|time| time.to_string()),
            revoked: token.revoked_at.map(|time| time.to_string()),
        }
    }
}

/// A new token, with its text.
#[derive(Serialize, ToSchema)]
pub struct IssuedTokenView {
    /// The token.
    #[serde(flatten)]
    pub info: TokenView,
    /// Its text, shown this once: send it as `Authorization: Bearer`.
    #[schema(example = "rcpt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    pub token: String,
}

impl IssuedTokenView {
    /// Shows a new token.
    #[must_use]
    pub fn new(issued: &IssuedToken) -> Self {
        Self {
            info: TokenView::new(&issued.token, TokenState::Valid),
            token: issued.text.reveal().to_owned(),
        }
    }
}

/// All tokens but the configured one, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenList {
    /// The tokens, revoked and expired ones included.
    pub items: Vec<TokenView>,
}

impl TokenList {
    /// Shows all tokens.
    #[must_use]
    pub fn new(all: &[(OperatorToken, TokenState)]) -> Self {
        let views = all
            .iter()
            .map(|(token, state)| TokenView::new(token, *state));
        Self {
            items: views.collect(),
        }
    }
}

/// A token to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// Its name: ASCII letters, digits, spaces and . _ - @; not `admin` or `cli`.
    #[schema(example = "anna")]
    pub name: String,
    /// `viewer`, `operator` or `admin`.
    #[schema(example = "operator")]
    pub role: String,
    /// Rights besides the role: `reveal`, `audit`.
    pub rights: Option<Vec<String>>,
    /// When it expires; never if left out.
    #[schema(example = "2099-12-31T23:59:59Z")]
    pub expires: Option<String>,
}

impl TokenRequest {
    fn parse(&self) -> Result<NewToken, ApiError> {
        let mut rights = Rights::default();
        for right in self.rights.iter().flatten() {
            match right.as_str() {
                "reveal" => rights.reveal = true,
                "audit" => rights.audit = true,
                _ => return Err(invalid("rights", "a right is reveal or audit")),
            }
        }
        let expires_at = self.expires.as_deref().map(Timestamp::parse).transpose();
        Ok(NewToken {
            name: valid("name", OperatorName::of_token(&self.name))?,
            role: valid("role", self.role.parse::<Role>())?,
            rights,
            expires_at: valid("expires", expires_at)?,
        })
    }
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        let (status, code) = match error {
            TokenError::NameTaken(_) => (StatusCode::CONFLICT, "token_exists"),
            TokenError::NoSuchToken(_) => (StatusCode::NOT_FOUND, NO_SUCH_TOKEN),
            TokenError::ExpiryInThePast => (StatusCode::UNPROCESSABLE_ENTITY, "expiry_in_the_past"),
            TokenError::Store(error) => return Self::Store(error),
        };
        Problem::new(status, code, error.to_string()).into()
    }
}

/// The code of an id that no token has.
const NO_SUCH_TOKEN: &str = "no_such_token";

/// Add a token
#[utoipa::path(
    post, path = "/api/v1/tokens",
    operation_id = "add_token",
    tag = "access",
    request_body = TokenRequest,
    responses((status = 201, body = IssuedTokenView)),
)]
pub(crate) async fn add(
    operator: Data<Operator>,
    http: HttpRequest,
    request: Body<TokenRequest>,
) -> ApiResult {
    let new = request.parse()?;
    let issued = operator.run(operator.state.access.tokens.add(new)).await?;
    note(&http, issued.token.summary());
    let location = format!("/api/v1/tokens/{}", issued.token.id);
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, location))
        .json(IssuedTokenView::new(&issued)))
}

/// List tokens
#[utoipa::path(
    get, path = "/api/v1/tokens",
    operation_id = "list_tokens",
    tag = "access",
    responses((status = 200, body = TokenList)),
)]
pub(crate) async fn list(operator: Data<Operator>) -> ApiResult {
    let all = operator.run(operator.state.access.tokens.list()).await?;
    Ok(HttpResponse::Ok().json(TokenList::new(&all)))
}

/// Revoke a token and end its sessions
#[utoipa::path(
    delete, path = "/api/v1/tokens/{token}",
    operation_id = "revoke_token",
    tag = "access",
    params(("token" = String, Path, description = "The token's id")),
    responses((status = 204)),
)]
pub(crate) async fn revoke(
    operator: Data<Operator>,
    http: HttpRequest,
    path: Path<String>,
) -> ApiResult {
    let id = path.parse::<OperatorTokenId>().map_err(|_| {
        let detail = "a token id is a UUID";
        ApiError::from(Problem::new(StatusCode::NOT_FOUND, NO_SUCH_TOKEN, detail))
    })?;
    let revoking = operator.state.access.tokens.revoke(id);
    let revoked = operator.run(revoking).await?;
    note(&http, revoked.summary());
    Ok(HttpResponse::NoContent().finish())
}
