//! Kinds of trouble.

/// A kind of trouble; each has a rule.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[strum(
    serialize_all = "snake_case",
    parse_err_ty = InvalidTroubleKind,
    parse_err_fn = invalid_kind
)]
pub enum TroubleKind {
    /// A channel receives no reports, unlike usual.
    Silence,
    /// A channel is called without credentials only.
    ChallengedOnly,
    /// An error code is much more frequent than usual.
    ErrorCode,
    /// Many more messages than usual are sent and not delivered.
    StuckAtSent,
    /// A subscription is paused or has ended.
    SubscriptionStopped,
    /// A subscription receives its events late.
    SubscriptionLagging,
    /// Reports wait in the journal of a receiver.
    JournalInUse,
    /// A credential in use is about to expire, or has expired.
    CredentialExpiring,
    /// The certificate of the public URL is about to expire, or has expired.
    CertificateExpiring,
    /// The integrator says that it could not deliver reports.
    CallbacksFailing,
    /// No run of reconciliation of a channel succeeds.
    ReconciliationFailing,
    /// Requests of a channel are not forwarded.
    ForwardingFailing,
}

/// The text is not a kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a kind of trouble is silence, challenged_only, error_code, stuck_at_sent, \
     subscription_stopped, subscription_lagging, journal_in_use, credential_expiring, \
     certificate_expiring, callbacks_failing, reconciliation_failing or \
     forwarding_failing"
)]
pub struct InvalidTroubleKind;

const fn invalid_kind(_: &str) -> InvalidTroubleKind {
    InvalidTroubleKind
}

impl TroubleKind {
    /// All kinds.
    pub const ALL: [Self; 12] = [
        Self::Silence,
        Self::ChallengedOnly,
        Self::ErrorCode,
        Self::StuckAtSent,
        Self::SubscriptionStopped,
        Self::SubscriptionLagging,
        Self::JournalInUse,
        Self::CredentialExpiring,
        Self::CertificateExpiring,
        Self::CallbacksFailing,
        Self::ReconciliationFailing,
        Self::ForwardingFailing,
    ];

    /// Returns the name used in the API and in tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns a title for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Silence => "No reports",
            Self::ChallengedOnly => "Called without credentials only",
            Self::ErrorCode => "An error is more frequent than usual",
            Self::StuckAtSent => "Messages are stuck at sent",
            Self::SubscriptionStopped => "A subscription receives no events",
            Self::SubscriptionLagging => "A subscription lags",
            Self::JournalInUse => "Reports wait in the journal",
            Self::CredentialExpiring => "A credential expires",
            Self::CertificateExpiring => "The certificate expires",
            Self::CallbacksFailing => "Callbacks fail",
            Self::ReconciliationFailing => "Reconciliation fails",
            Self::ForwardingFailing => "Requests are not forwarded",
        }
    }

    /// Returns what an operator should do.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Silence => {
                "Check at the integrator that messages are being sent and that the callback URL is \
                 still set. Send a test report to see whether the URL can be reached."
            }
            Self::ChallengedOnly => {
                "Check user and password in the callback URL at the integrator."
            }
            Self::ErrorCode => "Open the messages with this code; the code says who must act.",
            Self::StuckAtSent => {
                "Ask the integrator whether delivery is delayed. Recipients may be switched off, or \
                 delivery reports may be missing."
            }
            Self::SubscriptionStopped => {
                "Repair the endpoint, then resume the subscription. Retention removes events that \
                 wait too long."
            }
            Self::SubscriptionLagging => {
                "Check that the endpoint answers quickly and with a status of 2xx."
            }
            Self::JournalInUse => {
                "Check the database: receivers write to the journal while it is unavailable or \
                 slow, and record these reports when it is available again."
            }
            Self::CredentialExpiring => {
                "Make a new credential, set it in the callback URL at the integrator, and remove \
                 the old one when it is no longer used."
            }
            Self::CertificateExpiring => "Renew the certificate of the public URL.",
            Self::CallbacksFailing => {
                "Check that the callback URL can be reached from the internet: name resolution, \
                 firewall and proxy, the certificate with its chain, user and password. Test the \
                 channel. If it has an account for reconciliation, the messages are looked up."
            }
            Self::ReconciliationFailing => {
                "Check the API key of the channel's account, and that the integrator's API can be \
                 reached from here. Reports that do not arrive are not recovered meanwhile."
            }
            Self::ForwardingFailing => {
                "Check that the channel's forward URL can be reached from here and answers with a \
                 status of 2xx. Requests that wait for three days are removed."
            }
        }
    }

    /// Returns whether its rule may be about a channel, so that the settings of the channel apply.
    #[must_use]
    pub const fn is_of_channel(self) -> bool {
        match self {
            Self::Silence
            | Self::ChallengedOnly
            | Self::ErrorCode
            | Self::StuckAtSent
            | Self::CredentialExpiring
            | Self::CertificateExpiring
            | Self::CallbacksFailing
            | Self::ReconciliationFailing
            | Self::ForwardingFailing => true,
            Self::SubscriptionStopped | Self::SubscriptionLagging | Self::JournalInUse => false,
        }
    }
}
