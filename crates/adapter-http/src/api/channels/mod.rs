//! Channels, the configured accesses that reports come in for.

pub mod request;

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use domain::{Address, Channel, ChannelCalls, ChannelId, PublicUrl, RetentionDays};
use ports::ChannelWithCredentials;
use serde::{Deserialize, Serialize};
use usecases::channels::manage::IssuedCredential;
use utoipa::ToSchema;

use super::Operator;
use super::body::Body;
use super::credentials::{CredentialView, IssuedView};
use super::error::{ApiError, missing};
use super::query::reveal;
use request::{ChannelPatch, ChannelRequest};

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
    /// For how many days its messages are kept after their last report; `null` as many as
    /// the service keeps them.
    pub keep_messages_days: Option<u16>,
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
            keep_messages_days: channel.keep_messages_days.map(RetentionDays::get),
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
    /// How often it was called without success; `null` in lists.
    pub calls: Option<CallsView>,
    /// Settings that seem to cost it reports, and what to check; empty in lists.
    pub warnings: Vec<String>,
}

/// How often a channel was called without success, and when with success.
#[derive(Debug, Serialize, ToSchema)]
pub struct CallsView {
    /// Requests without credentials, which were answered 401. Half of Twilio's good calls begin
    /// so.
    pub challenged: u64,
    /// Requests with a wrong webhook user or password, which were answered 401.
    pub refused: u64,
    /// When credentials were last wrong.
    pub last_refused_at: Option<String>,
    /// Reports that were rejected although the credentials were right; the last 1,000 are kept,
    /// at most 10 of a second.
    pub rejected: u64,
    /// When a request last had the right credentials.
    pub last_authenticated_at: Option<String>,
}

impl ChannelView {
    /// A channel as it is shown.
    #[must_use]
    pub fn new(found: &ChannelWithCredentials, callback_url: Option<String>, reveal: bool) -> Self {
        Self {
            channel: ChannelInfo::new(&found.channel, reveal),
            callback_url,
            credentials: found.credentials.iter().map(CredentialView::new).collect(),
            calls: None,
            warnings: Vec::new(),
        }
    }

    /// The same with what was counted of it and what seems to be wrong.
    #[must_use]
    pub fn with_calls(
        mut self,
        found: &ChannelWithCredentials,
        calls: ChannelCalls,
        warnings: Vec<String>,
    ) -> Self {
        let used = found.credentials.iter().filter_map(|it| it.last_used_at);
        self.calls = Some(CallsView {
            challenged: calls.challenged,
            refused: calls.refused,
            last_refused_at: calls.last_refused_at.map(|at| at.to_string()),
            rejected: calls.rejected,
            last_authenticated_at: used.max().map(|at| at.to_string()),
        });
        self.warnings = warnings;
        self
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
    operation_id = "add_channel",
    tag = "channels",
    request_body = ChannelRequest,
    responses(
        (status = 201, body = ChannelCreatedView),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn add(
    operator: web::Data<Operator>,
    request: Body<ChannelRequest>,
) -> Result<HttpResponse, ApiError> {
    let new = request.into_inner().0.read()?;
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
    operation_id = "list_channels",
    tag = "channels",
    params(ChannelQuery),
    responses(
        (status = 200, body = ChannelList),
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
    operation_id = "show_channel",
    tag = "channels",
    params(("channel" = String, Path, description = "The channel id"), ChannelQuery),
    responses(
        (status = 200, body = ChannelView),
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
    operation_id = "change_channel",
    tag = "channels",
    params(("channel" = String, Path, description = "The channel id")),
    request_body = ChannelPatch,
    responses(
        (status = 200, body = ChannelView),
    ),
    security(("admin" = [])),
)]
pub(crate) async fn change(
    operator: web::Data<Operator>,
    path: web::Path<String>,
    request: Body<ChannelPatch>,
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
    operation_id = "remove_channel",
    tag = "channels",
    params(("channel" = String, Path, description = "The channel id")),
    responses(
        (status = 204),
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
    let calls = operator.run(manage.calls(id)).await?;
    let warnings = operator.state.rejections.warnings(&found, manage.now());
    let warnings = operator.run(warnings).await?;
    let callback_url = manage.callback_url(&found.channel).ok();
    let view = ChannelView::new(&found, callback_url, reveal);
    Ok(HttpResponse::Ok().json(view.with_calls(&found, calls, warnings)))
}
