//! The bodies of requests for channels.

use domain::crypto::SigningTokens;
use domain::webhook::TargetUrl;
use domain::{Address, ChannelId, ChannelName, IntegratorName, PublicUrl, RetentionDays};
use serde::Deserialize;
use usecases::channels::manage::{ChannelChanges, NewChannel};
use utoipa::ToSchema;

use crate::api::credentials::CredentialRequest;
use crate::api::error::{ApiError, valid};
use crate::api::json_body::Whole;
use crate::api::query::given;

/// A channel to add.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelRequest {
    /// The id in the report path: letters, digits and `-._~`.
    #[schema(example = "202105102694809992")]
    pub id: String,
    /// The integrator that reports on its messages.
    #[schema(example = "twilio")]
    pub integrator: String,
    /// A name for people.
    #[schema(example = "Service desk")]
    pub name: String,
    /// The user name of its first credential, without a colon.
    #[schema(example = "webhook")]
    pub user: String,
    /// The password, at least 8 characters; generated if left out.
    pub password: Option<String>,
    /// The senders whose reports are received; left out or empty for all.
    #[serde(default)]
    pub senders: Vec<String>,
    /// The URL at which the integrator reaches it, if not that of the service.
    pub public_url: Option<String>,
    /// The integrator's signing token, if reports must be signed: Twilio's auth token, or Meta's
    /// app secret, which Meta needs. While it is replaced, two separated by a space; a shared key
    /// of Twilio's as `KEY_ID:SECRET`. At most four.
    pub signing_token: Option<String>,
    /// For how many days its messages are kept after their last report; left out for the
    /// service's default.
    #[schema(value_type = Option<i64>, example = 30)]
    pub keep_messages_days: Option<Whole>,
    /// The URL that requests with something else than reports, like incoming messages, are
    /// forwarded to as they are; left out to drop them.
    #[schema(example = "https://inbox.example.com/whatsapp")]
    pub forward_url: Option<String>,
    /// A name of the credential for people.
    pub label: Option<String>,
    /// When the credential expires.
    #[schema(example = "2099-12-31T23:59:59Z")]
    pub expires: Option<String>,
}

impl ChannelRequest {
    /// Parses the fields. `may_reveal`: whether the requester may see unmasked data.
    pub(super) fn parse(self, may_reveal: bool) -> Result<NewChannel, ApiError> {
        let public_url = self.public_url.as_deref().map(PublicUrl::parse).transpose();
        let token = self.signing_token.as_deref().map(SigningTokens::parse);
        let days = self
            .keep_messages_days
            .map(|Whole(days)| RetentionDays::new(days));
        let forward_url = self
            .forward_url
            .as_deref()
            .map(TargetUrl::parse)
            .transpose();
        Ok(NewChannel {
            id: valid("id", ChannelId::parse(&self.id))?,
            integrator: valid("integrator", IntegratorName::parse(&self.integrator))?,
            name: valid("name", ChannelName::parse(&self.name))?,
            senders: senders(&self.senders)?,
            public_url: valid("public_url", public_url)?,
            signing_token: valid("signing_token", token.transpose())?,
            keep_messages_days: valid("keep_messages_days", days.transpose())?,
            forward_url: valid("forward_url", forward_url)?,
            credential: CredentialRequest {
                user: self.user,
                password: self.password,
                label: self.label,
                expires: self.expires,
            }
            .parse()?,
            may_reveal,
        })
    }
}

/// Changes of a channel; fields that are left out stay unchanged.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelPatch {
    /// A name for people.
    pub name: Option<String>,
    /// Whether its reports are received.
    pub enabled: Option<bool>,
    /// The senders whose reports are received; empty for all.
    pub senders: Option<Vec<String>>,
    /// The URL at which the integrator reaches it; `null` for that of the service.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub public_url: Option<Option<String>>,
    /// The integrator's signing token, or several separated by spaces; `null` to require no
    /// signatures.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub signing_token: Option<Option<String>>,
    /// For how many days its messages are kept after their last report; `null` for the service's
    /// default.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>)]
    pub keep_messages_days: Option<Option<Whole>>,
    /// The URL that requests with something else than reports are forwarded to; `null` to drop them
    /// and those that wait.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub forward_url: Option<Option<String>>,
    /// The version to change; the request fails if it is not the current one.
    #[schema(value_type = Option<i64>)]
    pub version: Option<Whole>,
}

impl ChannelPatch {
    /// Returns the fields, and whether each is to be changed.
    pub(super) fn changed(&self) -> [(&'static str, bool); 7] {
        [
            ("name", self.name.is_some()),
            ("enabled", self.enabled.is_some()),
            ("senders", self.senders.is_some()),
            ("public_url", self.public_url.is_some()),
            ("signing_token", self.signing_token.is_some()),
            ("keep_messages_days", self.keep_messages_days.is_some()),
            ("forward_url", self.forward_url.is_some()),
        ]
    }

    /// Parses the fields. `may_reveal`: whether the requester may see unmasked data.
    pub(super) fn parse(&self, may_reveal: bool) -> Result<ChannelChanges, ApiError> {
        let public_url = self.public_url.as_ref().map(|url| {
            let url = url.as_deref().map(PublicUrl::parse).transpose();
            valid("public_url", url)
        });
        let signing_token = self.signing_token.as_ref().map(|token| {
            let token = token.as_deref().map(SigningTokens::parse).transpose();
            valid("signing_token", token)
        });
        let days = self.keep_messages_days.map(|days| {
            let days = days.map(|Whole(days)| RetentionDays::new(days)).transpose();
            valid("keep_messages_days", days)
        });
        let forward_url = self.forward_url.as_ref().map(|url| {
            let url = url.as_deref().map(TargetUrl::parse).transpose();
            valid("forward_url", url)
        });
        let name = self.name.as_deref().map(ChannelName::parse).transpose();
        Ok(ChannelChanges {
            name: valid("name", name)?,
            enabled: self.enabled,
            senders: self.senders.as_deref().map(senders).transpose()?,
            public_url: public_url.transpose()?,
            signing_token: signing_token.transpose()?,
            keep_messages_days: days.transpose()?,
            forward_url: forward_url.transpose()?,
            version: self.version.map(|Whole(version)| version),
            may_reveal,
        })
    }
}

fn senders(texts: &[String]) -> Result<Vec<Address>, ApiError> {
    let parsed: Result<_, _> = texts
        .iter()
        .map(|text| Address::parse_sender(text))
        .collect();
    valid("senders", parsed)
}
