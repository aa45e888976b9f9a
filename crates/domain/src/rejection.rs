//! Refused reports of authenticated callers.

use crate::crypto::SealedSecret;
use crate::{ChannelId, IntegratorName, Timestamp};

/// How many rejections of one channel are stored.
pub const REJECTIONS_KEPT: u32 = 1_000;

/// Why a report was refused.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[strum(serialize_all = "snake_case")]
pub enum RejectionReason {
    /// The channel requires a signature, which was missing or wrong.
    SignatureMismatch,
    /// The channel is disabled.
    ChannelDisabled,
    /// A field is missing, blank, too long, contradictory or broken.
    InvalidReport,
    /// The sender is not on the channel's list.
    SenderNotAllowed,
    /// The store will never accept it.
    RefusedByStore,
}

impl RejectionReason {
    /// All variants.
    pub const ALL: [Self; 5] = [
        Self::SignatureMismatch,
        Self::ChannelDisabled,
        Self::InvalidReport,
        Self::SenderNotAllowed,
        Self::RefusedByStore,
    ];

    /// Returns the name used in the API and in tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A refused report, stored for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// When it arrived.
    pub arrived_at: Timestamp,
    /// The channel.
    pub channel: ChannelId,
    /// The integrator.
    pub integrator: IntegratorName,
    /// Why it was refused.
    pub reason: RejectionReason,
    /// What was wrong and what would be right, without the value.
    pub detail: String,
    /// Its fields with their values masked.
    pub fields: MaskedFields,
    /// The sender that is not on the channel's list, sealed, so that an operator can add it.
    /// `None` for other reasons, and if the sender may be a person.
    pub sender: Option<SealedSecret>,
}

impl Rejection {
    /// Returns the text that a sealed sender is bound to, so that it opens for this channel only.
    #[must_use]
    pub fn sender_context(channel: &ChannelId) -> String {
        format!("channel/{channel}/rejected-sender")
    }
}

/// The fields of a refused report, in order, with every value that may be
/// personal masked by the integrator's adapter. At most 50 are kept, names and
/// values cut to 128 characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaskedFields(Vec<(String, String)>);

impl MaskedFields {
    /// Stores fields whose values are masked already.
    pub fn new(fields: impl IntoIterator<Item = (String, String)>) -> Self {
        let cut = |text: String| crate::text::clipped(&text, 128);
        Self(
            fields
                .into_iter()
                .take(50)
                .map(|(name, value)| (cut(name), cut(value)))
                .collect(),
        )
    }

    /// Names and masked values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}
