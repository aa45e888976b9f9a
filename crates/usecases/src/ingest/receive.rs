//! The path of a report from an authenticated caller to a durable row.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::crypto::{SealedSecret, ServerSecret, SigningTokens};
use domain::{ChannelId, MessageSid, PublicUrl, Rejection, Timestamp, mask_numbers};
use ports::integrator::{
    Endpoint, EndpointScope, InvalidElement, ParseError, ParsedBody, ParsedReport, SignedRequest,
    ValidationError, ValidationErrorKind, endpoint_path,
};
use ports::{Environment, Headers, Integrator, Metrics, ReconciliationStore, RejectionStore};

use crate::channels::directory::KnownChannel;
use crate::forwarding::{self, ForwardingOutbox};
use crate::ingest::authenticate::AuthenticatedCaller;
use crate::ingest::callback_failures::CallbackFailures;
use crate::ingest::queue::IngestQueue;
use crate::ingest::rejection_writer::RejectionWriter;

pub use error::ReceiveError;

mod error;

/// How long an answer waits for its rejection to be stored.
const REJECTION_TIMEOUT: Duration = Duration::from_secs(1);

/// Records the reports of authenticated requests.
pub struct ReceiveReport {
    queue: IngestQueue,
    rejections: RejectionWriter,
    callbacks: CallbackFailures,
    /// Public URL of channels that have none of their own.
    public_url: PublicUrl,
    clock: Arc<dyn Environment>,
    metrics: Arc<dyn Metrics>,
    /// Seals senders that are not allowed.
    secret: Option<ServerSecret>,
    /// Stores requests that are not reports; `None` drops them.
    outbox: Option<Arc<ForwardingOutbox>>,
}

/// A request of an authenticated caller.
pub struct ReportRequest<'a> {
    /// The integrator that the path names.
    pub integrator: &'a dyn Integrator,
    /// The endpoint that the path names.
    pub endpoint: &'a Endpoint,
    /// The caller and its channel.
    pub caller: AuthenticatedCaller,
    /// The header lines.
    pub headers: &'a dyn Headers,
    /// The query, without its question mark.
    pub query: Option<&'a str>,
    /// The whole body.
    pub body: &'a [u8],
}

impl ReceiveReport {
    /// Records reports through an ingest queue, and stores rejections and alerts about callbacks
    /// that failed.
    #[must_use]
    pub fn new(
        queue: IngestQueue,
        rejections: Arc<dyn RejectionStore>,
        alerts: Arc<dyn ReconciliationStore>,
        public_url: PublicUrl,
        clock: Arc<dyn Environment>,
        metrics: Arc<dyn Metrics>,
    ) -> Self {
        Self {
            queue,
            rejections: RejectionWriter::new(rejections),
            callbacks: CallbackFailures::new(alerts, Arc::clone(&metrics)),
            public_url,
            clock,
            metrics,
            secret: None,
            outbox: None,
        }
    }

    /// Forwards requests that are not reports.
    #[must_use]
    pub fn forwarding(self, outbox: Arc<ForwardingOutbox>) -> Self {
        Self {
            outbox: Some(outbox),
            ..self
        }
    }

    /// Stores senders that are not allowed, sealed, so that an operator can add them.
    #[must_use]
    pub fn sealing_senders(self, secret: ServerSecret) -> Self {
        Self {
            secret: Some(secret),
            ..self
        }
    }

    /// Records the reports of a request; they are durable when this returns `Ok`, and so is the
    /// whole request if it is to be forwarded. What is refused is stored as rejections, an element
    /// of the body each. If a channel has many rejections per second, the rest is only counted.
    ///
    /// A body that cannot be parsed is forwarded as well: only the receiver can tell what it is.
    ///
    /// If the integrator redelivers, reports that can never be recorded are no error: the caller
    /// could do nothing but send them again.
    pub async fn run(&self, request: ReportRequest<'_>) -> Result<(), ReceiveError> {
        let arrived_at = self.clock.now();
        let body = match self.parse(&request) {
            Ok(body) => body,
            Err(error) => {
                let outbox = self.outbox.as_deref().filter(|_| error.is_permanent());
                forwarding::store(outbox, &request, arrived_at).await?;
                let refused = [(None, &error)];
                self.reject(&request, arrived_at, &refused).await;
                return answer(&request, error);
            }
        };
        let outbox = self.outbox.as_deref();
        let outbox = outbox.filter(|_| !body.ignored.is_empty());
        for kind in body.ignored {
            self.metrics.ignored(request.integrator.name(), kind);
        }
        let (mut refused, stored) = tokio::join!(
            self.record(&request, arrived_at, body.reports),
            forwarding::store(outbox, &request, arrived_at),
        );
        refused.extend(invalid_elements(body.invalid, body.more_invalid));
        let failures = body.callback_failures;
        if let Err(error) = self.callbacks.note(&request, arrived_at, failures).await {
            refused.push((None, error));
        }
        if let Err(error) = stored {
            refused.push((None, error.into()));
        }
        let rejected: Vec<_> = refused
            .iter()
            .map(|(index, error)| (*index, error))
            .collect();
        self.reject(&request, arrived_at, &rejected).await;
        // What may be recorded later decides: the caller has to send the request again.
        let decisive = refused.iter().position(|(_, error)| error.is_temporary());
        match refused.into_iter().nth(decisive.unwrap_or(0)) {
            None => Ok(()),
            Some((_, error)) => answer(&request, error),
        }
    }

    /// Records reports. Returns what was refused, by its index in the body.
    async fn record(
        &self,
        request: &ReportRequest<'_>,
        arrived_at: Timestamp,
        parsed: Vec<ParsedReport>,
    ) -> Vec<(Option<usize>, ReceiveError)> {
        let caller = &request.caller;
        let channel = &caller.channel.channel;
        let integrator = request.integrator.name();
        let mut refused = Vec::new();
        let mut indexes = Vec::with_capacity(parsed.len());
        let mut reports = Vec::with_capacity(parsed.len());
        for parsed in parsed {
            if is_of_another_channel(request, &parsed) {
                self.metrics.ignored(integrator, "other-sender");
                continue;
            }
            if let Err(error) = check(caller, &parsed) {
                refused.push((Some(parsed.index), error));
                continue;
            }
            indexes.push(parsed.index);
            reports.push(parsed.on_arrival(channel.id.clone(), arrived_at, caller.credential));
        }
        let recorded = self.queue.record_all(integrator, reports).await;
        for (index, recorded) in indexes.into_iter().zip(recorded) {
            if let Err(error) = recorded {
                refused.push((Some(index), error.into()));
            }
        }
        refused
    }

    fn parse(&self, request: &ReportRequest<'_>) -> Result<ParsedBody, ReceiveError> {
        let known = request.caller.channel.as_ref();
        if !known.channel.enabled {
            return Err(ReceiveError::ChannelDisabled);
        }
        if let Some(tokens) = &known.signing_tokens
            && !request.caller.signature_verified
        {
            self.verify(request, known, tokens)?;
        }
        let parsed = request
            .integrator
            .parse(request.endpoint, request.headers, request.body);
        parsed.map_err(|error| match error {
            ParseError::Invalid(invalid) => ReceiveError::Invalid(invalid),
            ParseError::TooLarge(limit) => ReceiveError::TooLarge(limit),
        })
    }

    fn verify(
        &self,
        request: &ReportRequest<'_>,
        known: &KnownChannel,
        tokens: &SigningTokens,
    ) -> Result<(), ReceiveError> {
        let path = endpoint_path(request.integrator, request.endpoint, &known.channel.id);
        let signed = SignedRequest {
            public_url: known
                .channel
                .public_url
                .as_ref()
                .unwrap_or(&self.public_url),
            path: &path,
            query: request.query,
            tokens,
        };
        let verified = request.integrator.verify_signature(
            request.headers,
            request.body,
            signed,
            request.caller.presented.as_ref(),
        );
        // Tokens that cannot be opened are none, and must not match any signature.
        let verified = verified.map(|()| !tokens.is_empty());
        match verified {
            Ok(true) => Ok(()),
            Ok(false) => Err(ReceiveError::SignatureMismatch),
            Err(mismatch) => {
                if known.calls.stores_rejections(Instant::now()) {
                    tracing::warn!(
                        channel = %known.channel.id,
                        signed = mismatch.signed,
                        expected_url = mismatch.expected_url,
                        "refused a report: its signature does not match the configured URL and token"
                    );
                }
                Err(ReceiveError::SignatureMismatch)
            }
        }
    }

    /// Seals the sender that is not on the channel's list.
    fn sealed_sender(&self, channel: &ChannelId, error: &ReceiveError) -> Option<SealedSecret> {
        let ReceiveError::SenderNotAllowed { sender } = error else {
            return None;
        };
        let (secret, sender) = (self.secret.as_ref()?, sender.as_ref()?);
        let [nonce @ .., _, _, _, _, _, _, _, _] = self.clock.secret_bytes();
        Some(secret.seal(sender.reveal(), &Rejection::sender_context(channel), nonce))
    }

    /// Stores rejections of a refused request or of elements of its body, unless the service is at
    /// fault. If that fails, only the log lines remain; the answer is the same.
    async fn reject(
        &self,
        request: &ReportRequest<'_>,
        arrived_at: Timestamp,
        refused: &[(Option<usize>, &ReceiveError)],
    ) {
        if request.caller.is_test {
            // The operator who tests the channel sees the answer.
            return;
        }
        let known = &request.caller.channel;
        let channel = &known.channel.id;
        let mut rejections = Vec::new();
        for (element, error) in refused {
            let Some((reason, detail)) = error.rejection() else {
                continue;
            };
            self.metrics.rejected(reason);
            let Some(omitted) = known.calls.rejected(reason, Instant::now()) else {
                continue;
            };
            let place = element.filter(|_| request.endpoint.answers.redelivers);
            let detail = match place {
                Some(index) => format!("element {index}: {detail}"),
                None => detail,
            };
            // Error texts of the store and field names may repeat parts of the request.
            let detail = mask_numbers(&detail);
            tracing::info!(%channel, reason = reason.as_str(), detail, omitted, "refused a report");
            rejections.push(Rejection {
                arrived_at,
                channel: channel.clone(),
                integrator: request.integrator.name().clone(),
                reason,
                detail,
                fields: request.integrator.redacted_fields(
                    request.endpoint,
                    request.body,
                    *element,
                ),
                sender: self.sealed_sender(channel, error),
            });
        }
        if rejections.is_empty() {
            return;
        }
        // The answer does not wait for an unavailable store.
        let storing = self.rejections.write(rejections);
        if tokio::time::timeout(REJECTION_TIMEOUT, storing)
            .await
            .is_err()
        {
            tracing::warn!(%channel, "rejections are not stored yet; the answer does not wait for them any longer");
        }
    }
}

/// Returns the errors of elements that are not valid reports, by their index in the body. Of `more`
/// there is one, the first, because few rejections of a request are stored.
fn invalid_elements(
    invalid: Vec<InvalidElement>,
    more: usize,
) -> impl Iterator<Item = (Option<usize>, ReceiveError)> {
    let summary = (more > 0).then(|| {
        let described = invalid.len();
        // A longer number would be masked like a phone number.
        let more = more.min(999_999);
        let error = ValidationError {
            field: "body",
            kind: ValidationErrorKind::Invalid,
            expected: format!(
                "at most {described} elements that are not reports; there are at least {more} more"
            ),
        };
        (None, ReceiveError::Invalid(error))
    });
    let each = invalid
        .into_iter()
        .map(|invalid| (Some(invalid.index), ReceiveError::Invalid(invalid.error)));
    summary.into_iter().chain(each)
}

/// Returns whether a report is one of another channel of the account.
fn is_of_another_channel(request: &ReportRequest<'_>, report: &ParsedReport) -> bool {
    let channel = &request.caller.channel.channel;
    request.endpoint.scope == EndpointScope::Account && !channel.allows(report.sender.as_ref())
}

/// Refuses a report of a sender that the channel does not allow, and one that mixes up tests and
/// messages.
fn check(caller: &AuthenticatedCaller, report: &ParsedReport) -> Result<(), ReceiveError> {
    if !caller.channel.channel.allows(report.sender.as_ref()) {
        // The sender of an incoming message is a person.
        let is_outgoing = report.status.delivery().is_some();
        let sender = report.sender.clone().filter(|_| is_outgoing);
        return Err(ReceiveError::SenderNotAllowed { sender });
    }
    check_test(caller, report)
}

/// Refuses a report on a test message from others than its test credential, and other reports from
/// a test credential. Therefore the id of a message tells whether it is a test message.
fn check_test(caller: &AuthenticatedCaller, report: &ParsedReport) -> Result<(), ReceiveError> {
    let fits = if caller.is_test {
        report.sid == MessageSid::of_test(caller.credential)
    } else {
        !report.sid.is_test()
    };
    if fits {
        return Ok(());
    }
    Err(ReceiveError::Invalid(ValidationError {
        field: "message id",
        kind: ValidationErrorKind::Invalid,
        expected: "the id of a test message in its own test only, and an integrator's id otherwise"
            .to_owned(),
    }))
}

/// Returns how a request is answered of which something was refused.
fn answer(request: &ReportRequest<'_>, error: ReceiveError) -> Result<(), ReceiveError> {
    let is_final = error.is_permanent() && request.endpoint.answers.redelivers;
    if is_final { Ok(()) } else { Err(error) }
}
