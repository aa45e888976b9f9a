//! Credentials of a channel: what the integrator shows to be let in.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use domain::{ChannelId, Credential, CredentialId, Password, Timestamp, WebhookUser};
use serde::{Deserialize, Serialize};
use usecases::channels::manage::{IssuedCredential, NewCredential};
use utoipa::ToSchema;

use super::Operator;
use super::body::Body;
use super::channels::channel_id;
use super::error::{ApiError, missing, valid};

/// A credential. Its password is not kept and never shown again.
#[derive(Debug, Serialize, ToSchema)]
pub struct CredentialView {
    /// Names it.
    #[schema(format = "uuid")]
    pub id: String,
    /// The user name the caller presents.
    #[schema(example = "webhook")]
    pub user: String,
    /// What people call it.
    #[schema(example = "2026 rotation")]
    pub label: Option<String>,
    /// When it was made.
    pub created: String,
    /// From when on it proves nobody; `null` lasts until it is removed.
    pub expires: Option<String>,
    /// When it last proved a caller, to within a few seconds.
    pub last_used: Option<String>,
}

impl CredentialView {
    /// A credential as it is shown.
    #[must_use]
    pub fn new(credential: &Credential) -> Self {
        Self {
            id: credential.id.to_string(),
            user: credential.user.as_str().to_owned(),
            label: credential.label.clone(),
            created: credential.created_at.to_string(),
            expires: credential.expires_at.map(|time| time.to_string()),
            last_used: credential.last_used_at.map(|time| time.to_string()),
        }
    }
}

/// A credential just made, with what is shown this once.
#[derive(Serialize, ToSchema)]
pub struct IssuedView {
    /// The credential.
    pub credential: CredentialView,
    /// The password, shown this once.
    pub password: String,
    /// The URL to paste into the integrator's console, credentials included.
    #[schema(
        example = "https://webhook:secret@reports.example.com/social/on/whatsapp/twilio/report/202105102694809992#rc=5&rp=ct,rt,5xx"
    )]
    pub callback_url: String,
}

impl IssuedView {
    /// A credential just made.
    #[must_use]
    pub fn new(issued: &IssuedCredential) -> Self {
        Self {
            credential: CredentialView::new(&issued.credential),
            password: issued.password.reveal().to_owned(),
            callback_url: issued.callback_url.clone(),
        }
    }
}

/// A credential to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialRequest {
    /// The user name the caller presents: without a colon.
    #[schema(example = "webhook")]
    pub user: String,
    /// The password, at least 8 characters; left out, one is made.
    pub password: Option<String>,
    /// What people call it.
    pub label: Option<String>,
    /// From when on it proves nobody.
    #[schema(example = "2099-12-31T23:59:59Z")]
    pub expires: Option<String>,
}

impl CredentialRequest {
    pub(crate) fn read(&self) -> Result<NewCredential, ApiError> {
        let password = self.password.as_deref().map(Password::parse).transpose();
        let expires_at = self.expires.as_deref().map(Timestamp::parse).transpose();
        Ok(NewCredential {
            user: valid("user", WebhookUser::parse(&self.user))?,
            password: valid("password", password)?,
            label: self.label.as_deref().map(label).transpose()?,
            expires_at: valid("expires", expires_at)?,
        })
    }
}

fn label(text: &str) -> Result<String, ApiError> {
    let plain = (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    let expected = "a label is 1 to 200 characters without control characters";
    valid("label", plain.then(|| text.to_owned()).ok_or(expected))
}

/// Add a credential, so that the first one can be replaced without losing reports
#[utoipa::path(
    post,
    path = "/api/v1/channels/{channel}/credentials",
    operation_id = "add_credential",
    tag = "channels",
    params(("channel" = String, Path, description = "The channel id")),
    request_body = CredentialRequest,
    responses(
        (status = 201, body = IssuedView),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn add(
    operator: web::Data<Operator>,
    path: web::Path<String>,
    request: Body<CredentialRequest>,
) -> Result<HttpResponse, ApiError> {
    let channel = channel_id(&path)?;
    let new = request.read()?;
    let adding = operator.state.manage.add_credential(&channel, new);
    let issued = operator.run(adding).await?;
    operator.channels_changed().await;
    let location = format!(
        "/api/v1/channels/{channel}/credentials/{}",
        issued.credential.id
    );
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, location))
        .json(IssuedView::new(&issued)))
}

/// Remove a credential; callers that use it are refused from then on
#[utoipa::path(
    delete,
    path = "/api/v1/channels/{channel}/credentials/{credential}",
    operation_id = "remove_credential",
    tag = "channels",
    params(
        ("channel" = String, Path, description = "The channel id"),
        ("credential" = String, Path, description = "The credential id"),
    ),
    responses(
        (status = 204),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn remove(
    operator: web::Data<Operator>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (channel, credential) = path.into_inner();
    let channel: ChannelId = channel_id(&channel)?;
    let credential = credential
        .parse()
        .map_err(|_| missing("no_such_credential", "a credential id is a UUID"))?;
    let removing = operator
        .state
        .manage
        .remove_credential(&channel, CredentialId(credential));
    operator.run(removing).await?;
    operator.channels_changed().await;
    Ok(HttpResponse::NoContent().finish())
}
