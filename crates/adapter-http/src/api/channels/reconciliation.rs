//! The account of a channel for reconciliation, and what reconciliation did.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use domain::reconciliation::{AccountSid, ApiKeySecret, ApiKeySid, Reconciliation};
use serde::{Deserialize, Serialize};
use usecases::reconciliation::{AccountError, AlertedMessages, NewAccount};
use utoipa::ToSchema;

use crate::api::authorize::record_change;
use crate::api::error::{ApiError, ApiResult, valid};
use crate::api::json_body::Body;
use crate::api::operator::Operator;
use crate::api::path::channel_id;

/// The account of a channel, and what reconciliation did with it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReconciliationView {
    /// The channel.
    pub channel_id: String,
    /// The Twilio account.
    #[schema(example = "AC00000000000000000000000000000001")]
    pub account_sid: String,
    /// The API key that reads its messages. Its secret is never shown.
    #[schema(example = "SK00000000000000000000000000000001")]
    pub api_key_sid: String,
    /// When the account was last changed.
    pub changed_at: String,
    /// Messages compared with Twilio's records so far.
    pub checked: u64,
    /// Reports that had not arrived and were recovered so far.
    pub recovered: u64,
    /// When reconciliation last ran; `null` if it did not run yet.
    pub last_run_at: Option<String>,
    /// Why the last run stopped; `null` if it did not fail.
    pub last_error: Option<String>,
    /// When the first run failed of those since which none succeeded; `null` if the last one did.
    pub failing_since: Option<String>,
    /// Messages that were first reported before this time have been compared.
    pub checked_through: Option<String>,
    /// When Twilio's whole list of the last 72 hours was last compared; `null` if it was not.
    pub listed_at: Option<String>,
    /// How many messages of that list had changed since the list before.
    pub listed: u64,
    /// How many reports were recovered from the list before until that list.
    pub lost: u64,
    /// The share of messages whose last callback did not arrive, from 0 to 1: `lost` of `listed`;
    /// `null` without a list.
    pub lost_share: Option<f64>,
    /// Of how many messages Twilio's Debugger said in the last seven days that a report could not
    /// be delivered.
    pub alerted: u64,
    /// When it last said so; `null` if it did not.
    pub last_alert_at: Option<String>,
}

impl ReconciliationView {
    /// Shows an account and its figures.
    #[must_use]
    pub fn new(found: &Reconciliation, alerted: AlertedMessages) -> Self {
        let (account, figures) = (&found.account, &found.figures);
        Self {
            channel_id: account.channel.to_string(),
            account_sid: account.account.to_string(),
            api_key_sid: account.api_key.to_string(),
            changed_at: account.changed_at.to_string(),
            checked: figures.checked,
            recovered: figures.recovered,
            last_run_at: figures.last_run_at.map(|at| at.to_string()),
            last_error: figures.last_error.clone(),
            failing_since: figures.failing_since.map(|at| at.to_string()),
            checked_through: figures.checked_through.map(|at| at.to_string()),
            listed_at: figures.listed_at.map(|at| at.to_string()),
            listed: figures.listed,
            lost: figures.lost,
            lost_share: figures.lost_share(),
            alerted: alerted.count,
            last_alert_at: alerted.last_at.map(|at| at.to_string()),
        }
    }
}

/// A Twilio account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReconciliationRequest {
    /// The account: `AC` and 32 hex digits.
    #[schema(example = "AC00000000000000000000000000000001")]
    pub account_sid: String,
    /// The API key: `SK` and 32 hex digits.
    #[schema(example = "SK00000000000000000000000000000001")]
    pub api_key_sid: String,
    /// The secret of the API key, which is stored sealed.
    #[schema(example = "an-api-key-secret")]
    pub api_key_secret: String,
}

impl ReconciliationRequest {
    fn parse(&self) -> Result<NewAccount, ApiError> {
        Ok(NewAccount {
            account: valid("account_sid", AccountSid::parse(&self.account_sid))?,
            api_key: valid("api_key_sid", ApiKeySid::parse(&self.api_key_sid))?,
            secret: valid("api_key_secret", ApiKeySecret::parse(&self.api_key_secret))?,
        })
    }
}

/// Show the account of a channel, and what reconciliation did
#[utoipa::path(
    get, path = "/api/v1/channels/{channel}/reconciliation",
    operation_id = "show_reconciliation",
    tag = "channels",
    params(("channel" = String, Path, description = "The channel id")),
    responses((status = 200, body = ReconciliationView)),
)]
pub(crate) async fn show(operator: Data<Operator>, path: Path<String>) -> ApiResult {
    let channel = channel_id(&path)?;
    let showing = operator.state.reconciliation.show(&channel);
    let found = operator.run(showing).await?;
    let found = found.ok_or_else(|| AccountError::NoAccount(channel.clone()))?;
    let alerted = operator.state.reconciliation.alerted(&channel);
    let alerted = operator.run(alerted).await?;
    Ok(HttpResponse::Ok().json(ReconciliationView::new(&found, alerted)))
}

/// Give a channel an account, or replace it
///
/// The messages of the channel that have no final status are compared with the records of the
/// account, and reports that never arrived are recovered.
#[utoipa::path(
    put, path = "/api/v1/channels/{channel}/reconciliation",
    operation_id = "put_reconciliation",
    tag = "channels",
    params(("channel" = String, Path, description = "The channel id")),
    request_body = ReconciliationRequest,
    responses((status = 200, body = ReconciliationView)),
)]
pub(crate) async fn put(
    operator: Data<Operator>,
    http: HttpRequest,
    path: Path<String>,
    request: Body<ReconciliationRequest>,
) -> ApiResult {
    let channel = channel_id(&path)?;
    let new = request.parse()?;
    let reconciliation = &operator.state.reconciliation;
    operator.run(reconciliation.set(&channel, &new)).await?;
    record_change(&operator, &http).await;
    show(operator, path).await
}

/// Remove the account of a channel with its figures; recovered reports are kept
#[utoipa::path(
    delete, path = "/api/v1/channels/{channel}/reconciliation",
    operation_id = "remove_reconciliation",
    tag = "channels",
    params(("channel" = String, Path, description = "The channel id")),
    responses((status = 204)),
)]
pub(crate) async fn remove(operator: Data<Operator>, path: Path<String>) -> ApiResult {
    let channel = channel_id(&path)?;
    let removing = operator.state.reconciliation.remove(&channel);
    if operator.run(removing).await? {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(AccountError::NoAccount(channel).into())
    }
}
