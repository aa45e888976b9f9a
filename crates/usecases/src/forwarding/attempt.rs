//! One attempt to forward a request.

use std::time::Duration;

use domain::ForwardedRequest;
use domain::delivery::AttemptError;
use ports::error::error_chain;
use ports::forwarding::ClaimedRequest;
use ports::webhook_sender::SendError;

use super::worker::ForwardingDependencies;

/// An attempt that has ended.
pub(super) struct Attempt {
    pub(super) claimed: ClaimedRequest,
    pub(super) outcome: Result<(), Failure>,
}

/// Why a request was not forwarded.
pub(super) struct Failure {
    /// For operators.
    pub(super) error: AttemptError,
    /// The `Retry-After` of the response.
    pub(super) retry_after: Duration,
    /// Whether the URL is at fault. Otherwise it is this request.
    pub(super) of_url: bool,
}

/// Sends a request once.
pub(super) async fn send(needs: &ForwardingDependencies, claimed: ClaimedRequest) -> Attempt {
    let outcome = try_send(needs, &claimed).await;
    Attempt { claimed, outcome }
}

async fn try_send(needs: &ForwardingDependencies, claimed: &ClaimedRequest) -> Result<(), Failure> {
    let channel = &claimed.key.channel;
    let known = needs.directory.find(channel);
    let url = known.and_then(|known| known.channel.forward_url.clone());
    let url = url.ok_or_else(|| unusable("the channel has no forward URL"))?;
    let context = ForwardedRequest::sealing_context(channel);
    let opened = needs.secret.open_bytes(&claimed.sealed, &context);
    let opened = opened.map_err(|error| unusable(&error.to_string()))?;
    let request = ForwardedRequest::decode(&opened);
    let request = request.map_err(|error| unusable(&error.to_string()))?;
    drop(opened);
    let sent = needs.forwarder.forward(&url, &request).await;
    sent.map(drop).map_err(|error| failed(&error))
}

fn unusable(error: &str) -> Failure {
    Failure {
        error: AttemptError::new(error),
        retry_after: Duration::ZERO,
        of_url: false,
    }
}

fn failed(error: &SendError) -> Failure {
    let (text, retry_after) = match error {
        SendError::Retry { source, after, .. } => (error_chain(source.as_ref()), *after),
        SendError::Gone { .. } => ("the target answered 410 Gone".to_owned(), None),
        SendError::Refused { .. } => (error_chain(error), None),
    };
    Failure {
        error: AttemptError::new(&text),
        retry_after: retry_after.unwrap_or_default(),
        of_url: true,
    }
}
