//! Inputs and results of channel management.

use domain::access::Permission;
use domain::crypto::SigningTokens;
use domain::webhook::{SpecialNetwork, TargetUrl};
use domain::{
    Address, Channel, ChannelId, ChannelName, Credential, CredentialId, IntegratorName, Password,
    PublicUrl, RetentionDays, Timestamp, WebhookUser,
};
use ports::StoreError;

/// How a channel is configured at its integrator.
#[derive(Debug)]
pub struct Setup {
    /// The callback URL, without credentials.
    pub callback_url: String,
    /// What an operator does there, step by step.
    pub steps: &'static [&'static str],
    /// Whether the integrator sends a refused report again for hours or days.
    pub redelivers: bool,
}

/// A channel to add.
#[derive(Debug)]
pub struct NewChannel {
    /// Its id, as in the report path.
    pub id: ChannelId,
    /// The integrator that reports on its messages.
    pub integrator: IntegratorName,
    /// Display name.
    pub name: ChannelName,
    /// Senders whose reports are accepted; empty accepts all.
    pub senders: Vec<Address>,
    /// Its public URL, if not the service's.
    pub public_url: Option<PublicUrl>,
    /// The integrator's signing tokens, if reports must be signed.
    pub signing_token: Option<SigningTokens>,
    /// Its retention of messages, if not the service's.
    pub keep_messages_days: Option<RetentionDays>,
    /// Where requests with something that is no report are forwarded to.
    pub forward_url: Option<TargetUrl>,
    /// Its first credential.
    pub credential: NewCredential,
    /// Whether the operator may decide where unmasked data is sent.
    pub may_reveal: bool,
}

/// A credential to add.
#[derive(Debug)]
pub struct NewCredential {
    /// User name.
    pub user: WebhookUser,
    /// Password; `None` generates one.
    pub password: Option<Password>,
    /// Display name.
    pub label: Option<String>,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
}

/// Changes of a channel; `None` leaves a field as it is.
#[derive(Debug, Default)]
pub struct ChannelChanges {
    /// Display name.
    pub name: Option<ChannelName>,
    /// Whether its reports are accepted.
    pub enabled: Option<bool>,
    /// Senders whose reports are accepted; empty accepts all.
    pub senders: Option<Vec<Address>>,
    /// Public URL; `Some(None)` uses the service's.
    pub public_url: Option<Option<PublicUrl>>,
    /// Signing tokens; `Some(None)` stops requiring signatures.
    pub signing_token: Option<Option<SigningTokens>>,
    /// Retention of messages; `Some(None)` uses the service's.
    pub keep_messages_days: Option<Option<RetentionDays>>,
    /// Forward URL; `Some(None)` stops forwarding and removes the requests that wait.
    pub forward_url: Option<Option<TargetUrl>>,
    /// Version that the changes are based on; `None` overwrites any.
    pub version: Option<i64>,
    /// Whether the operator may decide where unmasked data is sent.
    pub may_reveal: bool,
}

impl ChannelChanges {
    /// Binds the changes to the version that they were derived from. Fails if they are meant for
    /// another version.
    pub fn based_on(self, before: &Channel) -> Result<Self, ManageError> {
        match self.version {
            Some(version) if version != before.version => Err(ManageError::Outdated),
            _ => Ok(Self {
                version: Some(before.version),
                ..self
            }),
        }
    }
}

/// A new credential with its password, which is shown only once.
#[derive(Debug)]
pub struct IssuedCredential {
    /// The credential.
    pub credential: Credential,
    /// The password in the clear.
    pub password: Password,
    /// Callback URL for the integrator's console, including the credentials if they belong there.
    pub callback_url: String,
    /// What an operator does at the integrator, step by step.
    pub setup_steps: &'static [&'static str],
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum ManageError {
    /// A channel of this id exists.
    #[error("there is a channel {0} already")]
    ChannelExists(ChannelId),
    /// There is no channel of this id.
    #[error("there is no channel {0}")]
    NoSuchChannel(ChannelId),
    /// The channel has no credential of this id.
    #[error("the channel has no credential {0}")]
    NoSuchCredential(CredentialId),
    /// The integrator is not built in.
    #[error("unknown integrator {name}; known: {known}")]
    UnknownIntegrator {
        /// The unknown name.
        name: IntegratorName,
        /// The known names, separated by commas.
        known: String,
    },
    /// The channel has two valid credentials; a rotation needs no third.
    #[error("the channel has two live credentials already; remove one first")]
    TooManyCredentials,
    /// The expiry is in the past.
    #[error("the expiry is in the past")]
    ExpiryInThePast,
    /// The public URL is the callback URL of another channel or integrator.
    #[error(
        "the public URL contains another report path; give the base, or the URL that ends in {0}"
    )]
    OtherReportPath(String),
    /// The integrator signs nothing.
    #[error("{0} does not sign its requests; leave the signing token out")]
    NoSignatures(IntegratorName),
    /// The integrator sends no credentials, only signatures.
    #[error(
        "{0} authenticates its requests by signature only; give its app secret as signing token"
    )]
    SignatureRequired(IntegratorName),
    /// All requests of the integrator are reports.
    #[error("{0} sends reports only, so there is nothing to forward; leave the forward URL out")]
    NothingToForward(IntegratorName),
    /// The operator may not decide where unmasked data is sent.
    #[error("this needs {}", Permission::Reveal.requirement())]
    RevealRequired,
    /// The forward URL is in a private network.
    #[error(
        "requests may not be forwarded to {0} address; to allow it set \
         RECEIPTD_PUSH_PRIVATE_TARGETS=true"
    )]
    PrivateForwardUrl(SpecialNetwork),
    /// The channel was changed concurrently.
    #[error("the channel was changed in the meantime; read it again")]
    Outdated,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
