//! Reconciliation: comparing messages with the integrator's own records of them, to recover reports
//! that never arrived.

mod callback_alert;

use std::fmt;

use zeroize::Zeroizing;

use crate::crypto::SealedSecret;
use crate::{ChannelId, Timestamp};

pub use callback_alert::{
    CALLBACK_ALERT_RETENTION_MICROS, CALLBACK_ALERTS_KEPT, CallbackAlert, CallbackAlertCount,
    latest_alerts,
};

/// The id of an account at Twilio: `AC` and 32 hex digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSid(String);

/// The text is not the id of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an account SID is AC and 32 hex digits")]
pub struct InvalidAccountSid;

impl AccountSid {
    /// Parses an id.
    pub fn parse(text: &str) -> Result<Self, InvalidAccountSid> {
        if is_sid(text, "AC") {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidAccountSid)
        }
    }

    /// Returns the id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountSid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of an API key at Twilio: `SK` and 32 hex digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeySid(String);

/// The text is not the id of an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an API key SID is SK and 32 hex digits")]
pub struct InvalidApiKeySid;

impl ApiKeySid {
    /// Parses an id.
    pub fn parse(text: &str) -> Result<Self, InvalidApiKeySid> {
        if is_sid(text, "SK") {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidApiKeySid)
        }
    }

    /// Returns the id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ApiKeySid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The secret of an API key in the clear. It is stored sealed; its memory is zeroed.
#[derive(Clone)]
pub struct ApiKeySecret(Zeroizing<String>);

/// The text is not the secret of an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an API key secret is 8 to 256 printable ASCII characters without spaces")]
pub struct InvalidApiKeySecret;

impl ApiKeySecret {
    /// Parses a secret as the integrator's console shows it.
    pub fn parse(text: &str) -> Result<Self, InvalidApiKeySecret> {
        if text.len() >= 8 && crate::text::is_ascii_token(text, 256) {
            Ok(Self(Zeroizing::new(text.to_owned())))
        } else {
            Err(InvalidApiKeySecret)
        }
    }

    /// Returns the secret. Never log it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeySecret(***)")
    }
}

fn is_sid(text: &str, prefix: &str) -> bool {
    let digits = text.strip_prefix(prefix).unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Access to the records of a channel's messages at Twilio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReconciliationAccount {
    /// The channel.
    pub channel: ChannelId,
    /// The account that sends its messages.
    pub account: AccountSid,
    /// The API key that reads them.
    pub api_key: ApiKeySid,
    /// The secret of the API key, sealed for [`ReconciliationAccount::secret_context`].
    pub secret: SealedSecret,
    /// When it was last changed.
    pub changed_at: Timestamp,
}

impl ReconciliationAccount {
    /// Returns the text that a sealed API key secret is bound to, so that it opens for this channel
    /// only.
    #[must_use]
    pub fn secret_context(channel: &ChannelId) -> String {
        format!("channel/{channel}/api-key-secret")
    }
}

/// What reconciliation of a channel did so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReconciliationFigures {
    /// Messages compared with the integrator's records.
    pub checked: u64,
    /// Reports that had not arrived and were recovered.
    pub recovered: u64,
    /// When reconciliation last ran.
    pub last_run_at: Option<Timestamp>,
    /// Why the last run stopped; `None` if it did not fail.
    pub last_error: Option<String>,
    /// When the first run failed of those since which none succeeded; `None` if the last one did.
    pub failing_since: Option<Timestamp>,
    /// Messages that were first reported before this time have been looked up, some of them several
    /// times.
    pub checked_through: Option<Timestamp>,
    /// When the integrator's whole list was last compared.
    pub listed_at: Option<Timestamp>,
    /// How many messages of that list had changed since the list before.
    pub listed: u64,
    /// How many reports were recovered from the list before until that list.
    pub lost: u64,
}

impl ReconciliationFigures {
    /// Returns the share of messages whose last callback did not arrive, from 0 to 1, by the last
    /// comparison of the whole list; `None` if there was none, or no message.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share needs few digits")]
    pub fn lost_share(&self) -> Option<f64> {
        (self.listed > 0).then(|| (self.lost as f64 / self.listed as f64).min(1.0))
    }
}

/// The account of a channel, and what reconciliation did with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconciliation {
    /// The account.
    pub account: ReconciliationAccount,
    /// The figures.
    pub figures: ReconciliationFigures,
}

/// Of what a step of reconciliation is part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReconciliationStep {
    /// A run, which is repeated at an interval.
    Run,
    /// The end of the runs that were due, all of which succeeded.
    Success,
    /// A lookup of alerts, which postpones no run.
    Alerts,
}

impl ReconciliationStep {
    /// Returns whether it is part of a run.
    #[must_use]
    pub const fn is_of_run(self) -> bool {
        match self {
            Self::Run | Self::Success => true,
            Self::Alerts => false,
        }
    }

    /// Returns whether all runs that were due succeeded.
    #[must_use]
    pub const fn is_success(self) -> bool {
        match self {
            Self::Success => true,
            Self::Run | Self::Alerts => false,
        }
    }
}

/// What one step of reconciliation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReconciliationProgress {
    /// When.
    pub at: Timestamp,
    /// Of what it is part.
    pub step: ReconciliationStep,
    /// Messages compared.
    pub checked: u64,
    /// Reports recovered.
    pub recovered: u64,
    /// Messages that were first reported before this time have been looked up as often as they were
    /// due; `None` changes nothing.
    pub checked_through: Option<Timestamp>,
    /// The integrator's whole list was compared, and this many of its messages had changed since
    /// the last one; `None` if it was not.
    pub listed: Option<u64>,
    /// Whether the integrator answered. This removes an earlier error.
    pub answered: bool,
    /// Why it stopped.
    pub error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("AC00000000000000000000000000000001", true)]
    #[case("ACabcdefABCDEF00000000000000000000", true)]
    #[case("AC0000000000000000000000000000001", false)]
    #[case("SK00000000000000000000000000000001", false)]
    #[case("AC0000000000000000000000000000000g", false)]
    #[case("AC/../0000000000000000000000000001", false)]
    #[case("", false)]
    fn an_account_sid_is_ac_and_32_hex_digits(#[case] text: &str, #[case] valid: bool) {
        assert_eq!(AccountSid::parse(text).is_ok(), valid);
    }

    #[rstest]
    #[case("SK00000000000000000000000000000001", true)]
    #[case("AC00000000000000000000000000000001", false)]
    fn an_api_key_sid_is_sk_and_32_hex_digits(#[case] text: &str, #[case] valid: bool) {
        assert_eq!(ApiKeySid::parse(text).is_ok(), valid);
    }

    #[test]
    fn a_secret_does_not_show_in_debug() {
        let secret = ApiKeySecret::parse("an-api-key-secret").unwrap();
        assert_eq!(format!("{secret:?}"), "ApiKeySecret(***)");
        assert!(ApiKeySecret::parse("short").is_err());
        assert!(ApiKeySecret::parse("with a space").is_err());
    }

    #[rstest]
    #[case(0, 0, None)]
    #[case(4, 1, Some(0.25))]
    #[case(4, 5, Some(1.0))]
    fn lost_share_is_that_of_the_last_list(
        #[case] listed: u64,
        #[case] lost: u64,
        #[case] share: Option<f64>,
    ) {
        let figures = ReconciliationFigures {
            listed,
            lost,
            ..ReconciliationFigures::default()
        };
        assert_eq!(figures.lost_share(), share);
    }
}
