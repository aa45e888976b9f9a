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
    pub(super) fault: Fault,
}

/// What is at fault when a request is not forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The URL: other requests would fail as well.
    Url,
    /// The request: the target answers, and refuses it.
    Request,
    /// This process: it has no URL for the request, or cannot open it.
    Process,
}

impl Fault {
    /// Judges an answer other than 2xx. A client error means that the target refuses this request,
    /// unless it is about the URL, the credentials in it, or the rate of requests.
    const fn of_status(status: u16) -> Self {
        match status {
            401 | 403 | 404 | 405 | 407 | 408 | 410 | 421 | 425 | 426 | 429 => Self::Url,
            400..=499 => Self::Request,
            _ => Self::Url,
        }
    }
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
        fault: Fault::Process,
    }
}

fn failed(error: &SendError) -> Failure {
    let (text, retry_after) = match error {
        SendError::Retry { source, after, .. } => (error_chain(source.as_ref()), *after),
        SendError::Gone { .. } => ("the target answered 410 Gone".to_owned(), None),
        SendError::Refused { .. } => (error_chain(error), None),
    };
    let answer = error.answer();
    Failure {
        error: AttemptError::new(&text),
        retry_after: retry_after.unwrap_or_default(),
        fault: answer.map_or(Fault::Url, |answer| Fault::of_status(answer.status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_errors_are_the_fault_of_the_request_unless_they_are_about_the_url() {
        for status in [400, 409, 413, 415, 422, 451] {
            assert_eq!(Fault::of_status(status), Fault::Request, "{status}");
        }
        for status in [302, 401, 403, 404, 405, 408, 410, 425, 429, 500, 503] {
            assert_eq!(Fault::of_status(status), Fault::Url, "{status}");
        }
    }
}
