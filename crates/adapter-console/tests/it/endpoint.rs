//! Endpoints of subscriptions.

use async_trait::async_trait;
use domain::webhook::AnswerExcerpt;
use ports::webhook_sender::{Answer, Delivered, OutgoingEvent, SendError, Target, WebhookSender};

/// An endpoint that accepts every event.
pub(crate) struct AcceptingEndpoint;

#[async_trait]
impl WebhookSender for AcceptingEndpoint {
    async fn deliver(&self, _: &Target, _: &OutgoingEvent) -> Result<Delivered, SendError> {
        // The answer arrives later.
        tokio::task::yield_now().await;
        Ok(Delivered {
            answer: Answer {
                status: 202,
                excerpt: AnswerExcerpt::of(b"thank you"),
            },
            took: std::time::Duration::from_millis(1),
        })
    }
}
