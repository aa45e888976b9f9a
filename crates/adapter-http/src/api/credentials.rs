//! Credentials, with which an integrator authenticates for a channel.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{Data, Path};
use domain::{Credential, Password, Timestamp, WebhookUser};
use serde::{Deserialize, Serialize};
use usecases::channels::manage::{IssuedCredential, NewCredential};
use utoipa::ToSchema;

use super::error::{ApiError, ApiResult, valid};
use super::json_body::Body;
use super::operator::Operator;
use super::path::{channel_id, credential_id};

/// A credential. Its password is not stored and never shown again.
#[derive(Debug, Serialize, ToSchema)]
pub struct CredentialView {
    /// Its id.
    #[schema(format = "uuid")]
    pub id: String,
    /// The user name the caller presents.
    #[schema(example = "webhook")]
    pub user: String,
    /// A name for people.
    #[schema(example = "2026 rotation")]
    pub label: Option<String>,
    /// When it was created.
    pub created: String,
    /// When it expires; `null` if never.
    pub expires: Option<String>,
    /// When it last authenticated a caller, to within a few seconds.
    pub last_used: Option<String>,
}

impl CredentialView {
    /// Shows a credential.
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

/// A new credential, with its password.
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
    /// Shows a new credential.
    #[must_use]
    pub fn new(issued: &IssuedCredential) -> Self {
        Self {
            credential: CredentialView::new(&issued.credential),
            password: issued.password.reveal().to_owned(),
            callback_url: issued.callback_url.clone(),
        }
    }
}

/// A credential to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialRequest {
    /// The user name the caller presents: without a colon.
    #[schema(example = "webhook")]
    pub user: String,
    /// The password, at least 8 characters; generated if left out.
    pub password: Option<String>,
    /// A name for people.
    pub label: Option<String>,
    /// When it expires.
    #[schema(example = "2099-12-31T23:59:59Z")]
    pub expires: Option<String>,
}

impl CredentialRequest {
    pub(crate) fn parse(&self) -> Result<NewCredential, ApiError> {
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

/// Add a credential, to replace the first one without losing reports
#[utoipa::path(
    post, path = "/api/v1/channels/{channel}/credentials",
    operation_id = "add_credential",
    tag = "channels",
    params(("channel" = String, Path, description = "The channel id")),
    request_body = CredentialRequest,
    responses((status = 201, body = IssuedView)),
)]
pub(crate) async fn add(
    operator: Data<Operator>,
    path: Path<String>,
    request: Body<CredentialRequest>,
) -> ApiResult {
    let channel = channel_id(&path)?;
    let new = request.parse()?;
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

/// Remove a credential; requests with it are refused from then on
#[utoipa::path(
    delete, path = "/api/v1/channels/{channel}/credentials/{credential}",
    operation_id = "remove_credential",
    tag = "channels",
    params(
        ("channel" = String, Path, description = "The channel id"),
        ("credential" = String, Path, description = "The credential id"),
    ),
    responses((status = 204)),
)]
pub(crate) async fn remove(operator: Data<Operator>, path: Path<(String, String)>) -> ApiResult {
    let (channel, credential) = path.into_inner();
    let (channel, credential) = (channel_id(&channel)?, credential_id(&credential)?);
    let manage = &operator.state.manage;
    operator
        .run(manage.remove_credential(&channel, credential))
        .await?;
    operator.channels_changed().await;
    Ok(HttpResponse::NoContent().finish())
}
