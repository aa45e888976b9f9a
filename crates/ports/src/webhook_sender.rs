//! Sending events to subscribers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::crypto::SigningSecrets;
use domain::webhook::{AnswerExcerpt, SpecialNetwork, TargetUrl, WebhookId};

use crate::error::Source;

/// The endpoint of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its URL.
    pub url: TargetUrl,
    /// The live signing secrets.
    pub secrets: SigningSecrets,
}

/// An event to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingEvent {
    /// The same for every attempt.
    pub id: WebhookId,
    /// JSON; the same bytes for every attempt.
    pub body: Arc<[u8]>,
}

/// The response of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The beginning of the body, for the operator.
    pub excerpt: AnswerExcerpt,
}

/// A successful attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The response.
    pub answer: Answer,
    /// How long the attempt took.
    pub took: Duration,
}

/// A failed attempt, by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Retry later. The subscriber may have received the event all the same.
    #[error("the event was not accepted")]
    Retry {
        /// The `Retry-After` of the response.
        after: Option<Duration>,
        /// The response, if there was one.
        answer: Option<Answer>,
        /// How long the attempt took.
        took: Duration,
        /// The cause.
        #[source]
        source: Source,
    },
    /// The endpoint answered 410: the subscription has ended.
    #[error("the target is gone")]
    Gone {
        /// The response.
        answer: Answer,
        /// How long the attempt took.
        took: Duration,
    },
    /// Nothing was sent, since the address is not allowed. A retry helps only after the URL, its
    /// DNS name or the settings were changed.
    #[error(
        "events may not go to {host}: {address} is {network} address; to allow it set \
         RECEIPTD_PUSH_PRIVATE_TARGETS=true"
    )]
    Refused {
        /// The host of the URL.
        host: String,
        /// The address that the host is or resolves to.
        address: std::net::IpAddr,
        /// The kind of network that contains the address.
        network: SpecialNetwork,
    },
}

impl SendError {
    /// Returns the response, if there was one.
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
    /// Sends one event once, signed with every live secret of the target, and waits for the
    /// response until a configured timeout. The status of the response counts even if its body is
    /// incomplete.
    ///
    /// Dropping the future cancels the attempt. Any number may be in flight. The caller orders
    /// events by waiting for one attempt to end before it sends the next.
    async fn deliver(&self, target: &Target, event: &OutgoingEvent)
    -> Result<Delivered, SendError>;
}
