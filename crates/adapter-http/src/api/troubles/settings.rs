//! The settings of the rules that find trouble.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use domain::ChannelId;
use domain::trouble::{QuietHours, Thresholds, TroubleKind, TroubleSettings};
use serde::{Deserialize, Serialize};
use usecases::trouble::AppliedSettings;
use utoipa::ToSchema;

use crate::api::error::{ApiError, ApiResult, valid};
use crate::api::json_body::{Body, Whole};
use crate::api::operator::Operator;
use crate::api::path::channel_id;
use crate::api::query::set;

/// The settings of the rules that apply to a channel, or to everything else.
#[derive(Debug, Serialize, ToSchema)]
pub struct TroubleSettingsView {
    /// The channel; `null`: those of all channels without settings of their own, and of what is not
    /// about a channel.
    pub channel_id: Option<String>,
    /// Whether they were set here; otherwise they are those of all channels, or built in.
    pub own: bool,
    /// The kinds of trouble that are not looked for.
    pub off: Vec<&'static str>,
    /// How many minutes a channel must be silent, at least.
    pub silence_minutes: u16,
    /// How many requests without credentials are found, in 10 minutes.
    pub challenges: u32,
    /// Which share of the messages an error code must have, in percent.
    pub code_share_percent: u8,
    /// The hours of each day in which no notices are sent, like `22:00-06:30`; `null` if none.
    pub quiet_hours: Option<String>,
}

impl TroubleSettingsView {
    /// Shows settings.
    #[must_use]
    pub fn new(channel: Option<&ChannelId>, applied: &AppliedSettings) -> Self {
        let settings = &applied.settings;
        let off = settings.off.iter();
        Self {
            channel_id: channel.map(ToString::to_string),
            own: applied.own,
            off: off.map(|kind| kind.as_str()).collect(),
            silence_minutes: settings.thresholds.silence_minutes(),
            challenges: settings.thresholds.challenges(),
            code_share_percent: settings.thresholds.code_share_percent(),
            quiet_hours: settings.quiet_hours.map(|hours| hours.to_string()),
        }
    }
}

/// Settings of the rules. What is left out gets its built-in value.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TroubleSettingsRequest {
    /// The kinds of trouble that are not looked for.
    #[schema(example = json!(["stuck_at_sent"]))]
    pub off: Option<Vec<String>>,
    /// How many minutes a channel must be silent, at least: 1 to 10080, 10 by default.
    #[schema(value_type = Option<i64>)]
    pub silence_minutes: Option<Whole>,
    /// How many requests without credentials are found, in 10 minutes: 1 to 1000000, 10 by default.
    #[schema(value_type = Option<i64>)]
    pub challenges: Option<Whole>,
    /// Which share of the messages an error code must have, in percent: 1 to 100, 3 by default.
    #[schema(value_type = Option<i64>)]
    pub code_share_percent: Option<Whole>,
    /// The hours of each day in which no notices are sent, in the time zone of the installation;
    /// none by default.
    #[schema(example = "22:00-06:30")]
    pub quiet_hours: Option<String>,
}

impl TroubleSettingsRequest {
    fn parse(&self) -> Result<TroubleSettings, ApiError> {
        let built_in = Thresholds::default();
        let silence = number(self.silence_minutes, built_in.silence_minutes());
        let challenges = number(self.challenges, built_in.challenges());
        let share = number(self.code_share_percent, built_in.code_share_percent());
        let off = self.off.iter().flatten().map(String::as_str);
        let quiet_hours = self.quiet_hours.as_deref().map(str::parse::<QuietHours>);
        // Each is checked beside valid ones, so that the error names its field.
        let of_silence = Thresholds::new(silence, 1, 1);
        let of_challenges = Thresholds::new(1, challenges, 1);
        let of_share = Thresholds::new(1, 1, share);
        valid("silence_minutes", of_silence)?;
        valid("challenges", of_challenges)?;
        valid("code_share_percent", of_share)?;
        let all = Thresholds::new(silence, challenges, share);
        Ok(TroubleSettings {
            off: set("off", off, str::parse::<TroubleKind>)?,
            thresholds: valid("silence_minutes", all)?,
            quiet_hours: valid("quiet_hours", quiet_hours.transpose())?,
        })
    }
}

/// Returns a number, or one that is no valid limit if it is out of the range of its type.
fn number<T: TryFrom<i64> + Default>(given: Option<Whole>, built_in: T) -> T {
    given.map_or(built_in, |Whole(number)| {
        T::try_from(number).unwrap_or_default()
    })
}

/// Show the settings of the rules that find trouble
#[utoipa::path(
    get, path = "/api/v1/trouble-settings",
    operation_id = "show_trouble_settings",
    tag = "troubles",
    responses((status = 200, body = TroubleSettingsView)),
)]
pub(crate) async fn show(operator: Data<Operator>) -> ApiResult {
    answer_with(&operator, None).await
}

/// Replace the settings of the rules that find trouble
///
/// They apply to channels without settings of their own, and to what is not about a channel.
#[utoipa::path(
    put, path = "/api/v1/trouble-settings",
    operation_id = "put_trouble_settings",
    tag = "troubles",
    request_body = TroubleSettingsRequest,
    responses((status = 200, body = TroubleSettingsView)),
)]
pub(crate) async fn put(
    operator: Data<Operator>,
    request: Body<TroubleSettingsRequest>,
) -> ApiResult {
    store(&operator, None, &request).await
}

/// Show the settings of the rules that apply to a channel
#[utoipa::path(
    get, path = "/api/v1/channels/{channel}/trouble-settings",
    operation_id = "show_channel_trouble_settings",
    tag = "troubles",
    params(("channel" = String, Path, description = "The channel id")),
    responses((status = 200, body = TroubleSettingsView)),
)]
pub(crate) async fn show_of_channel(operator: Data<Operator>, path: Path<String>) -> ApiResult {
    answer_with(&operator, Some(&channel_id(&path)?)).await
}

/// Give a channel settings of the rules of its own, or replace them
#[utoipa::path(
    put, path = "/api/v1/channels/{channel}/trouble-settings",
    operation_id = "put_channel_trouble_settings",
    tag = "troubles",
    params(("channel" = String, Path, description = "The channel id")),
    request_body = TroubleSettingsRequest,
    responses((status = 200, body = TroubleSettingsView)),
)]
pub(crate) async fn put_of_channel(
    operator: Data<Operator>,
    path: Path<String>,
    request: Body<TroubleSettingsRequest>,
) -> ApiResult {
    store(&operator, Some(&channel_id(&path)?), &request).await
}

/// Remove a channel's own settings of the rules
#[utoipa::path(
    delete, path = "/api/v1/channels/{channel}/trouble-settings",
    operation_id = "remove_channel_trouble_settings",
    tag = "troubles",
    params(("channel" = String, Path, description = "The channel id")),
    responses((status = 200, body = TroubleSettingsView)),
)]
pub(crate) async fn remove_of_channel(operator: Data<Operator>, path: Path<String>) -> ApiResult {
    let channel = channel_id(&path)?;
    let removing = operator.state.troubles.set_settings(Some(&channel), None);
    let applied = operator.run(removing).await?;
    Ok(HttpResponse::Ok().json(TroubleSettingsView::new(Some(&channel), &applied)))
}

async fn answer_with(operator: &Operator, channel: Option<&ChannelId>) -> ApiResult {
    let applied = operator
        .run(operator.state.troubles.settings(channel))
        .await?;
    Ok(HttpResponse::Ok().json(TroubleSettingsView::new(channel, &applied)))
}

async fn store(
    operator: &Operator,
    channel: Option<&ChannelId>,
    request: &TroubleSettingsRequest,
) -> ApiResult {
    let settings = request.parse()?;
    let troubles = &operator.state.troubles;
    let storing = troubles.set_settings(channel, Some(&settings));
    let applied = operator.run(storing).await?;
    Ok(HttpResponse::Ok().json(TroubleSettingsView::new(channel, &applied)))
}
