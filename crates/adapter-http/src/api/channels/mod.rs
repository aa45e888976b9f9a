//! Channels, through which integrators report.

pub mod forwarding;
pub mod reconciliation;
pub mod request;
pub mod test;

use actix_web::http::header;
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use domain::access::Permission;
use domain::forwarding::WaitingRequests;
use domain::webhook::TargetUrl;
use domain::{Address, Channel, ChannelCalls, ChannelId, PublicUrl, RetentionDays};
use ports::ChannelWithCredentials;
use serde::{Deserialize, Serialize};
use usecases::channels::manage::{IssuedCredential, Setup};
use utoipa::ToSchema;

use super::authorize::{Requester, note_changed, record_change};
use super::credentials::{CredentialView, IssuedView};
use super::error::ApiResult;
use super::json_body::Body;
use super::operator::Operator;
use super::path::channel_id;
use super::reveal::{reveal, shown};
use forwarding::ForwardingView;
use request::{ChannelPatch, ChannelRequest};

/// A channel.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChannelInfo {
    /// The id in the report path.
    #[schema(example = "202105102694809992")]
    pub id: String,
    /// The integrator that reports on its messages.
    #[schema(example = "twilio")]
    pub integrator: String,
    /// A name for people.
    pub name: String,
    /// Whether its reports are received.
    pub enabled: bool,
    /// The senders whose reports are received, masked unless revealed; empty for all.
    pub senders: Vec<String>,
    /// The URL at which the integrator reaches it, if not that of the service.
    pub public_url: Option<String>,
    /// Whether its reports must be signed.
    pub signature_required: bool,
    /// For how many days its messages are kept after their last report; `null` for the service's
    /// default.
    pub keep_messages_days: Option<u16>,
    /// Where requests with something else than reports are forwarded to, without its query unless
    /// revealed; `null` if they are dropped.
    pub forward_url: Option<String>,
    /// When it was created.
    pub created: String,
    /// When it was last changed.
    pub updated: String,
    /// Incremented by each change.
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
        let forward_url = |url: &TargetUrl| {
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
            forward_url: channel.forward_url.as_ref().map(forward_url),
            created: channel.created_at.to_string(),
            updated: channel.updated_at.to_string(),
            version: channel.version,
        }
    }
}

/// A channel with its credentials.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChannelView {
    /// The channel.
    #[serde(flatten)]
    pub channel: ChannelInfo,
    /// The URL to paste into the integrator's console, without credentials.
    /// `null` if this program does not support the integrator any more.
    pub callback_url: Option<String>,
    /// What an operator does at the integrator so that its reports arrive, step by step.
    pub setup_steps: Vec<&'static str>,
    /// Its credentials, oldest first.
    pub credentials: Vec<CredentialView>,
    /// Counts of unsuccessful requests; `null` in lists.
    pub calls: Option<CallsView>,
    /// Messages that are separate from the message whose alias their id is, because reports on the
    /// alias arrived before it was known, counted over at most 1,000 aliases; `null` in lists, and
    /// if they could not be counted.
    pub separate_messages: Option<u64>,
    /// The requests that wait to be forwarded; `null` in lists, and without a forward URL.
    pub forwarding: Option<ForwardingView>,
    /// Settings that may lose it reports, and what to check; empty in lists.
    pub warnings: Vec<String>,
}

/// Counts of unsuccessful requests to a channel, and the time of the last successful one.
#[derive(Debug, Serialize, ToSchema)]
pub struct CallsView {
    /// Requests without credentials, answered 401. Half of Twilio's valid requests begin so.
    pub challenged: u64,
    /// Requests with wrong credentials, or with a wrong signature where that replaces them,
    /// answered
    /// 401.
    pub refused: u64,
    /// When credentials were last wrong.
    pub last_refused_at: Option<String>,
    /// Rejected reports with valid credentials; the last 1,000 are kept, at most 10 per second.
    pub rejected: u64,
    /// When a request last had valid credentials.
    pub last_authenticated_at: Option<String>,
}

impl ChannelView {
    /// Shows a channel, unmasked if `reveal`.
    #[must_use]
    pub fn new(found: &ChannelWithCredentials, setup: Option<Setup>, reveal: bool) -> Self {
        Self {
            channel: ChannelInfo::new(&found.channel, reveal),
            setup_steps: setup.as_ref().map_or(&[][..], |setup| setup.steps).to_vec(),
            callback_url: setup.map(|setup| setup.callback_url),
            credentials: found.credentials.iter().map(CredentialView::new).collect(),
            calls: None,
            separate_messages: None,
            forwarding: None,
            warnings: Vec::new(),
        }
    }

    /// Adds the number of its separate messages, if it could be counted.
    #[must_use]
    pub const fn with_separate_messages(mut self, count: Option<u64>) -> Self {
        self.separate_messages = count;
        self
    }

    /// Adds what waits to be forwarded.
    #[must_use]
    pub fn with_forwarding(mut self, waiting: Option<WaitingRequests>) -> Self {
        let is_forwarding = self.channel.forward_url.is_some();
        self.forwarding = is_forwarding.then(|| ForwardingView::new(waiting));
        self
    }

    /// Adds the counts of its requests and the warnings.
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

/// A new channel, with the password of its first credential.
#[derive(Serialize, ToSchema)]
pub struct ChannelCreatedView {
    /// The channel.
    pub channel: ChannelInfo,
    /// Its first credential.
    #[serde(flatten)]
    pub issued: IssuedView,
}

impl ChannelCreatedView {
    /// Shows a new channel.
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

/// The parameters of a channel.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ChannelQuery {
    /// Whether senders are shown unmasked.
    #[param(value_type = Option<bool>)]
    reveal: Option<String>,
}

/// Add a channel with its first credential
#[utoipa::path(
    post, path = "/api/v1/channels",
    operation_id = "add_channel",
    tag = "channels",
    request_body = ChannelRequest,
    responses((status = 201, body = ChannelCreatedView)),
)]
pub(crate) async fn add(
    operator: Data<Operator>,
    requester: Requester,
    request: Body<ChannelRequest>,
) -> ApiResult {
    let may_reveal = requester.may(Permission::Reveal);
    let new = request.into_inner().0.parse(may_reveal)?;
    let (channel, issued) = operator.run(operator.state.manage.add(new)).await?;
    operator.channels_changed().await;
    let location = format!("/api/v1/channels/{}", channel.id);
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, location))
        .json(ChannelCreatedView::new(&channel, &issued)))
}

/// List all channels
#[utoipa::path(
    get, path = "/api/v1/channels",
    operation_id = "list_channels",
    tag = "channels",
    params(ChannelQuery),
    responses((status = 200, body = ChannelList)),
)]
pub(crate) async fn list(operator: Data<Operator>, query: Query<ChannelQuery>) -> ApiResult {
    let reveal = reveal(query.reveal.as_deref())?;
    let manage = &operator.state.manage;
    let channels = operator.run(manage.list()).await?;
    let view = |found: &ChannelWithCredentials| {
        ChannelView::new(found, manage.setup(&found.channel).ok(), reveal)
    };
    let items = channels.iter().map(view).collect();
    Ok(HttpResponse::Ok().json(ChannelList { items }))
}

/// Show a channel
#[utoipa::path(
    get, path = "/api/v1/channels/{channel}",
    operation_id = "show_channel",
    tag = "channels",
    params(("channel" = String, Path, description = "The channel id"), ChannelQuery),
    responses((status = 200, body = ChannelView)),
)]
pub(crate) async fn show(
    operator: Data<Operator>,
    path: Path<String>,
    query: Query<ChannelQuery>,
) -> ApiResult {
    let reveal = reveal(query.reveal.as_deref())?;
    answer(&operator, &channel_id(&path)?, reveal).await
}

/// Change a channel
#[utoipa::path(
    patch, path = "/api/v1/channels/{channel}",
    operation_id = "change_channel",
    tag = "channels",
    params(("channel" = String, Path, description = "The channel id")),
    request_body = ChannelPatch,
    responses((status = 200, body = ChannelView)),
)]
pub(crate) async fn change(
    operator: Data<Operator>,
    http: HttpRequest,
    requester: Requester,
    path: Path<String>,
    request: Body<ChannelPatch>,
) -> ApiResult {
    let id = channel_id(&path)?;
    let changes = request.parse(requester.may(Permission::Reveal))?;
    note_changed(&http, &request.changed());
    operator
        .run(operator.state.manage.update(&id, changes))
        .await?;
    record_change(&operator, &http).await;
    operator.channels_changed().await;
    answer(&operator, &id, false).await
}

/// Remove a channel and its credentials; its messages are kept
#[utoipa::path(
    delete, path = "/api/v1/channels/{channel}",
    operation_id = "remove_channel",
    tag = "channels",
    params(("channel" = String, Path, description = "The channel id")),
    responses((status = 204)),
)]
pub(crate) async fn remove(operator: Data<Operator>, path: Path<String>) -> ApiResult {
    let id = channel_id(&path)?;
    operator.run(operator.state.manage.remove(&id)).await?;
    operator.channels_changed().await;
    Ok(HttpResponse::NoContent().finish())
}

async fn answer(operator: &Operator, id: &ChannelId, reveal: bool) -> ApiResult {
    let manage = &operator.state.manage;
    let found = operator.run(manage.show(id)).await?;
    let calls = operator.run(manage.calls(id)).await?;
    let warnings = operator.state.rejections.warnings(&found, manage.now());
    let warnings = operator.run(warnings).await?;
    let separate = operator.run(operator.state.show.separate(id)).await;
    let waiting = operator.run(operator.state.forwarding.of(id)).await?;
    let setup = manage.setup(&found.channel).ok();
    let view = ChannelView::new(&found, setup, reveal)
        .with_separate_messages(separate)
        .with_forwarding(waiting);
    Ok(HttpResponse::Ok().json(view.with_calls(&found, calls, warnings)))
}
