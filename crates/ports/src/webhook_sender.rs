//! Events going out, one at a time.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::webhook::{AnswerExcerpt, SigningSecrets, SpecialNetwork, TargetUrl, WebhookId};

use crate::error::Source;

/// Where an event goes, and with what it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The subscriber's address.
    pub url: TargetUrl,
    /// The secrets that are live now.
    pub secrets: SigningSecrets,
}

/// An event as it leaves the house.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingEvent {
    /// The same on every try.
    pub id: WebhookId,
    /// What is sent, in JSON; the same bytes on every try.
    pub body: Arc<[u8]>,
}

/// What a subscriber said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its HTTP status.
    pub status: u16,
    /// The beginning of its body, for the operator.
    pub excerpt: AnswerExcerpt,
}

/// The subscriber has taken the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// What it said.
    pub answer: Answer,
    /// How long the try took.
    pub took: Duration,
}

/// The event was not taken, by what is to be done about it.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Try again later. The subscriber may have seen the event all the same.
    #[error("the event was not taken")]
    Retry {
        /// How long the subscriber asks to be left alone, if it does.
        after: Option<Duration>,
        /// What it said, if it said anything.
        answer: Option<Answer>,
        /// How long the try took.
        took: Duration,
        /// What went wrong.
        #[source]
        source: Source,
    },
    /// The subscriber wants nothing more, ever: the subscription has ended.
    #[error("the target is gone")]
    Gone {
        /// What it said.
        answer: Answer,
        /// How long the try took.
        took: Duration,
    },
    /// Nothing was sent, since events may not go there. Trying again helps only
    /// after somebody has changed the target, its name or the settings.
    #[error(
        "events may not go to {host}: {address} is {network} address; to allow it set \
         RECEIPTD_PUSH_PRIVATE_TARGETS=true"
    )]
    Refused {
        /// The host of the target.
        host: String,
        /// The address that it names or has.
        address: std::net::IpAddr,
        /// What is special about that address.
        network: SpecialNetwork,
    },
}

impl SendError {
    /// What the subscriber said, if it said anything.
    #[must_use]
    pub const fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Retry { answer, .. } => answer.as_ref(),
            Self::Gone { answer, .. } => Some(answer),
            Self::Refused { .. } => None,
        }
    }
}

/// Sends events to subscribers.
#[async_trait]
pub trait WebhookSender: Send + Sync {
    /// Sends one event once, signed with every live secret of the target, and
    /// waits for the answer, but never longer than the time it is set to. What
    /// the answer's status says counts, even if its body breaks off.
    ///
    /// Dropping the future gives the try up. Any number may be under way; what
    /// order they arrive in is up to the caller, who waits for one to end
    /// before it sends the next.
    async fn deliver(&self, target: &Target, event: &OutgoingEvent)
    -> Result<Delivered, SendError>;
}
