//! The path of a report from an authenticated caller to a durable row.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::crypto::{SealedSecret, ServerSecret};
use domain::{
    Address, ChannelId, IntegratorName, MessageKey, MessageSid, PublicUrl, Rejection,
    RejectionReason, Report, Timestamp, mask_numbers,
};
use ports::error::error_chain;
use ports::integrator::{
    ParseResult, ParsedReport, SignedRequest, ValidationError, ValidationErrorKind, report_path,
};
use ports::{Environment, Headers, Integrator, Metrics, RejectionStore};

use crate::channels::directory::KnownChannel;
use crate::ingest::authenticate::AuthenticatedCaller;
use crate::ingest::queue::{IngestError, IngestQueue};
use crate::ingest::rejection_writer::RejectionWriter;

/// How long an answer waits for its rejection to be stored.
const REJECTION_TIMEOUT: Duration = Duration::from_secs(1);

/// Records the reports of authenticated requests.
pub struct ReceiveReport {
    queue: IngestQueue,
    rejections: RejectionWriter,
    /// Public URL of channels that have none of their own.
    public_url: PublicUrl,
    clock: Arc<dyn Environment>,
    metrics: Arc<dyn Metrics>,
    /// Seals senders that are not allowed.
    secret: Option<ServerSecret>,
}

/// A request of an authenticated caller.
pub struct ReportRequest<'a> {
    /// The integrator that the path names.
    pub integrator: &'a dyn Integrator,
    /// The caller and its channel.
    pub caller: AuthenticatedCaller,
    /// The header lines.
    pub headers: &'a dyn Headers,
    /// The query, without its question mark.
    pub query: Option<&'a str>,
    /// The whole body.
    pub body: &'a [u8],
}

/// Why a request was refused.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The channel is disabled.
    #[error("the channel is switched off")]
    ChannelDisabled,
    /// The channel requires a signature, and it is missing or wrong.
    #[error("the signature is missing or wrong")]
    SignatureMismatch,
    /// A field is missing or invalid.
    #[error("the field {} is wrong", .0.field)]
    Invalid(ValidationError),
    /// There are more fields than any report has.
    #[error("there are too many fields")]
    TooManyFields,
    /// This sender is not on the channel's list.
    #[error("the sender is not on the channel's list")]
    SenderNotAllowed {
        /// The sender of a message; `None` if it may be a person's.
        sender: Option<Address>,
    },
    /// A report was not recorded.
    #[error(transparent)]
    NotRecorded(#[from] IngestError),
}

impl ReceiveReport {
    /// Records reports through an ingest queue.
    #[must_use]
    pub fn new(
        queue: IngestQueue,
        rejections: Arc<dyn RejectionStore>,
        public_url: PublicUrl,
        clock: Arc<dyn Environment>,
        metrics: Arc<dyn Metrics>,
    ) -> Self {
        Self {
            queue,
            rejections: RejectionWriter::new(rejections),
            public_url,
            clock,
            metrics,
            secret: None,
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

    /// Records the reports of a request; they are durable when this returns `Ok`. A refused request
    /// is stored as a rejection. If a channel has many rejections per second, the rest is only
    /// counted.
    pub async fn run(&self, request: ReportRequest<'_>) -> Result<(), ReceiveError> {
        let arrived_at = self.clock.now();
        let reports = match self.parse(&request, arrived_at) {
            Ok(reports) => reports,
            Err(error) => {
                self.reject(&request, arrived_at, &error).await;
                return Err(error);
            }
        };
        let integrator = request.integrator.name();
        let outcome = self.record(integrator, reports).await;
        if let Err(error) = &outcome {
            self.reject(&request, arrived_at, error).await;
        }
        outcome
    }

    async fn record(
        &self,
        integrator: &IntegratorName,
        reports: Vec<Report>,
    ) -> Result<(), ReceiveError> {
        // Nearly always one. If an integrator sends several, all must be durable before the
        // answer.
        for report in reports {
            self.queue.record(integrator, report).await?;
        }
        Ok(())
    }

    fn parse(
        &self,
        request: &ReportRequest<'_>,
        arrived_at: Timestamp,
    ) -> Result<Vec<Report>, ReceiveError> {
        let known = request.caller.channel.as_ref();
        if !known.channel.enabled {
            return Err(ReceiveError::ChannelDisabled);
        }
        if let Some(token) = &known.signing_token {
            self.verify(request, known, token)?;
        }
        let reports = match request.integrator.parse(request.headers, request.body) {
            ParseResult::Reports(reports) => reports,
            ParseResult::Ignored(why) => {
                tracing::debug!(channel = %known.channel.id, why, "nothing to record");
                return Ok(Vec::new());
            }
            ParseResult::Invalid(invalid) => return Err(ReceiveError::Invalid(invalid)),
            ParseResult::TooManyFields => return Err(ReceiveError::TooManyFields),
        };
        let refused = reports
            .iter()
            .find(|report| !known.channel.allows(&report.sender));
        if let Some(report) = refused {
            // The sender of an incoming message is a person.
            let is_outgoing = report.status.delivery().is_some();
            return Err(ReceiveError::SenderNotAllowed {
                sender: is_outgoing.then(|| report.sender.clone()),
            });
        }
        check_test(&request.caller, &reports)?;
        let credential = request.caller.credential;
        let complete = |parsed: ParsedReport| Report {
            key: MessageKey {
                channel: known.channel.id.clone(),
                sid: parsed.sid,
            },
            status: parsed.status,
            error: parsed.error,
            recipient: parsed.recipient,
            sender: parsed.sender,
            arrived_at,
            credential,
            idempotency_token: parsed.idempotency_token,
            fields: parsed.fields,
        };
        Ok(reports.into_iter().map(complete).collect())
    }

    fn verify(
        &self,
        request: &ReportRequest<'_>,
        known: &KnownChannel,
        token: &str,
    ) -> Result<(), ReceiveError> {
        let path = report_path(request.integrator, &known.channel.id);
        let signed = SignedRequest {
            public_url: known
                .channel
                .public_url
                .as_ref()
                .unwrap_or(&self.public_url),
            path: &path,
            query: request.query,
            token,
        };
        let verified = request.integrator.verify_signature(
            request.headers,
            request.body,
            signed,
            request.caller.presented.as_ref(),
        );
        // A token that cannot be opened is empty, and must not match any signature.
        let verified = verified.map(|()| !token.is_empty());
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

    /// Stores a rejection of a refused request, unless the service is at fault. If that fails, only
    /// the log line remains; the answer is the same.
    async fn reject(
        &self,
        request: &ReportRequest<'_>,
        arrived_at: Timestamp,
        error: &ReceiveError,
    ) {
        if request.caller.is_test {
            // The operator who tests the channel sees the answer.
            return;
        }
        let (reason, detail) = match error {
            ReceiveError::ChannelDisabled => (RejectionReason::ChannelDisabled, error.to_string()),
            ReceiveError::SignatureMismatch => {
                (RejectionReason::SignatureMismatch, error.to_string())
            }
            ReceiveError::Invalid(invalid) => (
                RejectionReason::InvalidReport,
                format!("{}: {}", invalid.field, invalid.expected),
            ),
            ReceiveError::SenderNotAllowed { .. } => {
                (RejectionReason::SenderNotAllowed, error.to_string())
            }
            ReceiveError::NotRecorded(IngestError::Refused(refused)) => (
                RejectionReason::RefusedByStore,
                error_chain(refused.as_ref()),
            ),
            ReceiveError::TooManyFields
            | ReceiveError::NotRecorded(IngestError::Overloaded | IngestError::Unavailable(_)) => {
                return;
            }
        };
        // Error texts of the store and field names may repeat parts of the request.
        let detail = mask_numbers(&detail);
        self.metrics.rejected(reason);
        let known = &request.caller.channel;
        let Some(omitted) = known.calls.rejected(reason, Instant::now()) else {
            return;
        };
        let channel = &known.channel.id;
        tracing::info!(%channel, reason = reason.as_str(), detail, omitted, "refused a report");
        let rejection = Rejection {
            arrived_at,
            channel: channel.clone(),
            integrator: request.integrator.name().clone(),
            reason,
            detail,
            fields: request.integrator.redacted_fields(request.body),
            sender: self.sealed_sender(channel, error),
        };
        // The answer does not wait for an unavailable store.
        let storing = self.rejections.write(rejection);
        if tokio::time::timeout(REJECTION_TIMEOUT, storing)
            .await
            .is_err()
        {
            tracing::warn!(%channel, "a rejection was not stored in time; it may be lost");
        }
    }
}

/// Refuses reports on test messages from others than their test credential, and other reports from
/// a test credential. Therefore the id of a message tells whether it is a test message.
fn check_test(caller: &AuthenticatedCaller, reports: &[ParsedReport]) -> Result<(), ReceiveError> {
    let fits = |report: &ParsedReport| {
        if caller.is_test {
            report.sid == MessageSid::of_test(caller.credential)
        } else {
            !report.sid.is_test()
        }
    };
    if reports.iter().all(fits) {
        return Ok(());
    }
    Err(ReceiveError::Invalid(ValidationError {
        field: "message id",
        kind: ValidationErrorKind::Invalid,
        expected: "the id of a test message in its own test only, and an integrator's id otherwise"
            .to_owned(),
    }))
}
