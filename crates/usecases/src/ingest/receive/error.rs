//! Why a request was refused, and what follows from it.

use domain::{Address, RejectionReason};
use ports::error::error_chain;
use ports::integrator::ValidationError;

use crate::forwarding::ForwardError;
use crate::ingest::queue::IngestError;

/// Why a request was refused.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The channel is disabled.
    #[error("the channel is disabled")]
    ChannelDisabled,
    /// The channel requires a signature, and it is missing or wrong.
    #[error("the signature is missing or wrong")]
    SignatureMismatch,
    /// A field is missing or invalid.
    #[error("the field {} is wrong", .0.field)]
    Invalid(ValidationError),
    /// The body has more fields or elements than any real one.
    #[error("{0}")]
    TooLarge(&'static str),
    /// This sender is not on the channel's list.
    #[error("the sender is not on the channel's list")]
    SenderNotAllowed {
        /// The sender of a message; `None` if it may be a person's.
        sender: Option<Address>,
    },
    /// A report was not recorded.
    #[error(transparent)]
    NotRecorded(#[from] IngestError),
    /// The request holds something else than reports, and was not stored to be forwarded.
    #[error(transparent)]
    NotForwarded(#[from] ForwardError),
}

impl ReceiveError {
    /// Returns whether the same request may succeed later without anyone changing anything.
    pub(super) const fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::NotRecorded(IngestError::Overloaded | IngestError::Unavailable(_))
                | Self::NotForwarded(_)
        )
    }

    /// Returns whether the report can never be recorded, whatever an operator changes.
    pub(super) const fn is_permanent(&self) -> bool {
        match self {
            Self::Invalid(_)
            | Self::TooLarge(_)
            | Self::SenderNotAllowed { .. }
            | Self::NotRecorded(IngestError::Refused(_)) => true,
            Self::ChannelDisabled
            | Self::SignatureMismatch
            | Self::NotRecorded(_)
            | Self::NotForwarded(_) => false,
        }
    }

    /// Returns reason and detail of its rejection; `None` if the service is at fault, or if it
    /// would cost too much.
    pub(super) fn rejection(&self) -> Option<(RejectionReason, String)> {
        Some(match self {
            Self::ChannelDisabled => (RejectionReason::ChannelDisabled, self.to_string()),
            Self::SignatureMismatch => (RejectionReason::SignatureMismatch, self.to_string()),
            Self::Invalid(invalid) => (
                RejectionReason::InvalidReport,
                format!("{}: {}", invalid.field, invalid.expected),
            ),
            Self::SenderNotAllowed { .. } => (RejectionReason::SenderNotAllowed, self.to_string()),
            Self::NotRecorded(IngestError::Refused(refused)) => (
                RejectionReason::RefusedByStore,
                error_chain(refused.as_ref()),
            ),
            Self::TooLarge(_)
            | Self::NotForwarded(_)
            | Self::NotRecorded(IngestError::Overloaded | IngestError::Unavailable(_)) => {
                return None;
            }
        })
    }
}
