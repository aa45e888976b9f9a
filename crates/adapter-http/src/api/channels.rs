//! Channels, the configured accesses that reports come in for.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use domain::{Address, Channel, ChannelId, ChannelName, IntegratorName, PublicUrl};
use ports::ChannelWithCredentials;
use serde::{Deserialize, Serialize};
use usecases::manage_channels::{ChannelChanges, IssuedCredential, NewChannel, SigningToken};
use utoipa::ToSchema;

use super::Operator;
use super::credentials::{CredentialRequest, CredentialView, IssuedView};
use super::error::{ApiError, missing, valid};
use super::query::{given, reveal};
use crate::problem::Problem;

/// A channel.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChannelInfo {
    /// What the report path calls it.
    #[schema(example = "202105102694809992")]
    pub id: String,
    /// Who reports on its messages.
    #[schema(example = "twilio")]
    pub integrator: String,
    /// What people call it.
    pub name: String,
    /// Whether its reports are taken.
    pub enabled: bool,
    /// The senders whose reports are taken, masked unless revealed; empty takes all.
    pub senders: Vec<String>,
    /// Where the integrator reaches it, if not at the service's address.
    pub public_url: Option<String>,
    /// Whether its reports must be signed.
    pub signature_required: bool,
    /// When it was made.
    pub created: String,
    /// When it was last changed.
    pub updated: String,
    /// Counts its changes.
    pub version: i64,
}

impl ChannelInfo {
    fn new(channel: &Channel, reveal: bool) -> Self {
        let sender = |sender: &Address| shown(sender, reveal);
        let public_url = |url: &PublicUrl| {
            if reveal {
                url.reveal().to_owned()
            } else {
                url.to_string()
            }
        };
        Self {
            id: channel.id.to_string(),
            integrator: channel.integrator.to_string(),
            name: channel.name.to_string(),
            enabled: channel.enabled,
            senders: channel.senders.iter().map(sender).collect(),
            public_url: channel.public_url.as_ref().map(public_url),
            signature_required: channel.signing_token.is_some(),
            created: channel.created_at.to_string(),
            updated: channel.updated_at.to_string(),
            version: channel.version,
        }
    }
}

/// An address as it is shown.
pub(crate) fn shown(address: &Address, reveal: bool) -> String {
    if reveal {
        address.reveal().to_owned()
    } else {
        address.to_string()
    }
}

/// A channel with its credentials.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChannelView {
    /// The channel.
    #[serde(flatten)]
    pub channel: ChannelInfo,
    /// The URL to paste into the integrator's console, without credentials.
    /// `null` if this program does not speak with the integrator any more.
    pub callback_url: Option<String>,
    /// Its credentials, the oldest first.
    pub credentials: Vec<CredentialView>,
}

impl ChannelView {
    /// A channel as it is shown.
    #[must_use]
    pub fn new(found: &ChannelWithCredentials, callback_url: Option<String>, reveal: bool) -> Self {
        Self {
            channel: ChannelInfo::new(&found.channel, reveal),
            callback_url,
            credentials: found.credentials.iter().map(CredentialView::new).collect(),
        }
    }
}

/// A channel just made, with what is shown this once.
#[derive(Serialize, ToSchema)]
pub struct ChannelCreatedView {
    /// The channel.
    pub channel: ChannelInfo,
    /// Its first credential.
    #[serde(flatten)]
    pub issued: IssuedView,
}

impl ChannelCreatedView {
    /// A channel just made.
    #[must_use]
    pub fn new(channel: &Channel, issued: &IssuedCredential) -> Self {
        Self {
            channel: ChannelInfo::new(channel, false),
            issued: IssuedView::new(issued),
        }
    }
}

/// All channels, by id.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChannelList {
    /// The channels.
    pub items: Vec<ChannelView>,
}

/// A channel to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelRequest {
    /// What the report path shall call it: letters, digits and `-._~`.
    #[schema(example = "202105102694809992")]
    pub id: String,
    /// Who reports on its messages.
    #[schema(example = "twilio")]
    pub integrator: String,
    /// What people call it.
    #[schema(example = "Service desk")]
    pub name: String,
    /// The user name of its first credential: without a colon.
    #[schema(example = "webhook")]
    pub user: String,
    /// The password, at least 8 characters; left out, one is made.
    pub password: Option<String>,
    /// The senders whose reports are taken; left out or empty takes all.
    #[serde(default)]
    pub senders: Vec<String>,
    /// Where the integrator reaches it, if not at the service's address.
    pub public_url: Option<String>,
    /// The integrator's signing token, if reports must be signed.
    pub signing_token: Option<String>,
    /// What people call the credential.
    pub label: Option<String>,
    /// From when on the credential proves nobody.
    #[schema(example = "2027-01-01T00:00:00Z")]
    pub expires: Option<String>,
}

impl ChannelRequest {
    fn read(self) -> Result<NewChannel, ApiError> {
        let public_url = self.public_url.as_deref().map(PublicUrl::parse).transpose();
        let token = self.signing_token.as_deref().map(SigningToken::parse);
        Ok(NewChannel {
            id: valid("id", ChannelId::parse(&self.id))?,
            integrator: valid("integrator", IntegratorName::parse(&self.integrator))?,
            name: valid("name", ChannelName::parse(&self.name))?,
            senders: senders(&self.senders)?,
            public_url: valid("public_url", public_url)?,
            signing_token: valid("signing_token", token.transpose())?,
            credential: CredentialRequest {
                user: self.user,
                password: self.password,
                label: self.label,
                expires: self.expires,
            }
            .read()?,
        })
    }
}

/// What to change of a channel; what is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelPatch {
    /// What people call it.
    pub name: Option<String>,
    /// Whether its reports are taken.
    pub enabled: Option<bool>,
    /// The senders whose reports are taken; empty takes all.
    pub senders: Option<Vec<String>>,
    /// Where the integrator reaches it; `null` at the service's address.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub public_url: Option<Option<String>>,
    /// The integrator's signing token; `null` asks for signatures no more.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub signing_token: Option<Option<String>>,
    /// The version the change is made to; another one is refused.
    pub version: Option<i64>,
}

impl ChannelPatch {
    fn read(&self) -> Result<ChannelChanges, ApiError> {
        let public_url = self.public_url.as_ref().map(|url| {
            let url = url.as_deref().map(PublicUrl::parse).transpose();
            valid("public_url", url)
        });
        let signing_token = self.signing_token.as_ref().map(|token| {
            let token = token.as_deref().map(SigningToken::parse).transpose();
            valid("signing_token", token)
        });
        let name = self.name.as_deref().map(ChannelName::parse).transpose();
        Ok(ChannelChanges {
            name: valid("name", name)?,
            enabled: self.enabled,
            senders: self.senders.as_deref().map(senders).transpose()?,
            public_url: public_url.transpose()?,
            signing_token: signing_token.transpose()?,
            version: self.version,
        })
    }
}

fn senders(texts: &[String]) -> Result<Vec<Address>, ApiError> {
    let parsed: Result<_, _> = texts.iter().map(|text| Address::parse(text)).collect();
    valid("senders", parsed)
}

/// The channel of a path; what is no id names no channel.
pub(crate) fn channel_id(text: &str) -> Result<ChannelId, ApiError> {
    let expected = "a channel id is 1 to 64 letters, digits and -._~";
    ChannelId::parse(text).map_err(|_| missing("no_such_channel", expected))
}

/// How channels are shown.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ChannelQuery {
    /// Whether senders are shown in the clear.
    #[param(value_type = Option<bool>)]
    reveal: Option<String>,
}

/// Add a channel with its first credential
#[utoipa::path(
    post,
    path = "/api/v1/channels",
    tag = "channels",
    request_body = ChannelRequest,
    responses(
        (status = 201, body = ChannelCreatedView),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", body = Problem, content_type = "application/problem+json"),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn add(
    operator: web::Data<Operator>,
    request: web::Json<ChannelRequest>,
) -> Result<HttpResponse, ApiError> {
    let new = request.into_inner().read()?;
    let (channel, issued) = operator.run(operator.state.manage.add(new)).await?;
    operator.channels_changed().await;
    let location = format!("/api/v1/channels/{}", channel.id);
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, location))
        .json(ChannelCreatedView::new(&channel, &issued)))
}

/// List all channels
#[utoipa::path(
    get,
    path = "/api/v1/channels",
    tag = "channels",
    params(ChannelQuery),
    responses(
        (status = 200, body = ChannelList),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", body = Problem, content_type = "application/problem+json"),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn list(
    operator: web::Data<Operator>,
    query: web::Query<ChannelQuery>,
) -> Result<HttpResponse, ApiError> {
    let reveal = reveal(query.reveal.as_deref())?;
    let manage = &operator.state.manage;
    let channels = operator.run(manage.list()).await?;
    let view = |found: &ChannelWithCredentials| {
        ChannelView::new(found, manage.callback_url(&found.channel).ok(), reveal)
    };
    let items = channels.iter().map(view).collect();
    Ok(HttpResponse::Ok().json(ChannelList { items }))
}

/// Show a channel
#[utoipa::path(
    get,
    path = "/api/v1/channels/{channel}",
    tag = "channels",
    params(("channel" = String, Path, description = "The channel id"), ChannelQuery),
    responses(
        (status = 200, body = ChannelView),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", body = Problem, content_type = "application/problem+json"),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn show(
    operator: web::Data<Operator>,
    path: web::Path<String>,
    query: web::Query<ChannelQuery>,
) -> Result<HttpResponse, ApiError> {
    let reveal = reveal(query.reveal.as_deref())?;
    answer(&operator, &channel_id(&path)?, reveal).await
}

/// Change a channel
#[utoipa::path(
    patch,
    path = "/api/v1/channels/{channel}",
    tag = "channels",
    params(("channel" = String, Path, description = "The channel id")),
    request_body = ChannelPatch,
    responses(
        (status = 200, body = ChannelView),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", body = Problem, content_type = "application/problem+json"),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn change(
    operator: web::Data<Operator>,
    path: web::Path<String>,
    request: web::Json<ChannelPatch>,
) -> Result<HttpResponse, ApiError> {
    let id = channel_id(&path)?;
    let changes = request.read()?;
    operator
        .run(operator.state.manage.update(&id, changes))
        .await?;
    operator.channels_changed().await;
    answer(&operator, &id, false).await
}

/// Remove a channel and its credentials; its messages stay
#[utoipa::path(
    delete,
    path = "/api/v1/channels/{channel}",
    tag = "channels",
    params(("channel" = String, Path, description = "The channel id")),
    responses(
        (status = 204),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", body = Problem, content_type = "application/problem+json"),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn remove(
    operator: web::Data<Operator>,
    path: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id = channel_id(&path)?;
    operator.run(operator.state.manage.remove(&id)).await?;
    operator.channels_changed().await;
    Ok(HttpResponse::NoContent().finish())
}

async fn answer(
    operator: &Operator,
    id: &ChannelId,
    reveal: bool,
) -> Result<HttpResponse, ApiError> {
    let manage = &operator.state.manage;
    let found = operator.run(manage.show(id)).await?;
    let callback_url = manage.callback_url(&found.channel).ok();
    Ok(HttpResponse::Ok().json(ChannelView::new(&found, callback_url, reveal)))
}
