//! The way of a report from a proven caller to a durable row.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{
    IntegratorName, MessageKey, PublicUrl, Rejection, RejectionReason, Report, Timestamp,
    mask_numbers,
};
use ports::error::error_chain;
use ports::integrator::{ParseResult, ParsedReport, SignedRequest, ValidationError, report_path};
use ports::{Clock, Headers, Integrator, Metrics, RejectionStore};

use crate::ingest::group_commit::{IngestError, IngestQueue};
use crate::ingest::rejection_writer::RejectionWriter;
use crate::{AuthenticatedCaller, channels::directory::KnownChannel};

/// How long keeping a rejection may hold up an answer.
const REJECTION_DEADLINE: Duration = Duration::from_secs(1);

/// Takes in the reports of one request.
pub struct ReceiveReport {
    intake: IngestQueue,
    rejections: RejectionWriter,
    /// Where the internet reaches channels that have no URL of their own.
    public_url: PublicUrl,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Metrics>,
}

/// A request whose caller is proven.
pub struct ReportRequest<'a> {
    /// The integrator that the path names.
    pub integrator: &'a dyn Integrator,
    /// Who called, for which channel.
    pub caller: AuthenticatedCaller,
    /// The header lines.
    pub headers: &'a dyn Headers,
    /// The query, without its question mark.
    pub query: Option<&'a str>,
    /// The whole body.
    pub body: &'a [u8],
}

/// Why a request was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The channel is switched off.
    #[error("the channel is switched off")]
    ChannelDisabled,
    /// The channel asks for a signature, and it is missing or wrong.
    #[error("the signature is missing or wrong")]
    SignatureMismatch,
    /// A field is missing or wrong.
    #[error("the field {} is wrong", .0.field)]
    Defective(ValidationError),
    /// There are more fields than any report has.
    #[error("there are too many fields")]
    TooManyFields,
    /// The sender is not on the channel's list.
    #[error("the sender is not on the channel's list")]
    SenderNotAllowed,
    /// It could not be recorded.
    #[error(transparent)]
    NotRecorded(#[from] IngestError),
}

impl ReceiveReport {
    /// Takes reports in.
    #[must_use]
    pub fn new(
        intake: IngestQueue,
        rejections: Arc<dyn RejectionStore>,
        public_url: PublicUrl,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Metrics>,
    ) -> Self {
        Self {
            intake,
            rejections: RejectionWriter::new(rejections),
            public_url,
            clock,
            observer,
        }
    }

    /// Takes in the reports of a request; they are durable when this returns
    /// `Ok`. A request that is refused is kept as a rejection; of a channel with many a second
    /// the others are only counted.
    pub async fn run(&self, request: ReportRequest<'_>) -> Result<(), ReceiveError> {
        let arrived_at = self.clock.now();
        let reports = match self.read(&request, arrived_at) {
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
        // Nearly always one. Where an integrator sends several at a time, all
        // must be durable before the answer.
        for report in reports {
            self.intake.record(integrator, report).await?;
        }
        Ok(())
    }

    fn read(
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
        let reports = match request.integrator.read(request.headers, request.body) {
            ParseResult::Reports(reports) => reports,
            ParseResult::Ignored(why) => {
                tracing::debug!(channel = %known.channel.id, why, "nothing to record");
                return Ok(Vec::new());
            }
            ParseResult::Invalid(defect) => return Err(ReceiveError::Defective(defect)),
            ParseResult::TooManyFields => return Err(ReceiveError::TooManyFields),
        };
        let allowed = reports
            .iter()
            .all(|report| known.channel.allows(&report.sender));
        if !allowed {
            return Err(ReceiveError::SenderNotAllowed);
        }
        let credential = request.caller.credential;
        let complete = |read: ParsedReport| Report {
            key: MessageKey {
                channel: known.channel.id.clone(),
                sid: read.sid,
            },
            status: read.status,
            error: read.error,
            recipient: read.recipient,
            sender: read.sender,
            arrived_at,
            credential,
            idempotency_token: read.idempotency_token,
            fields: read.fields,
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
        let verified = request
            .integrator
            .verify_signature(request.headers, request.body, signed);
        // A token that could not be opened is empty; nothing may pass then.
        let verified = verified.map(|()| !token.is_empty());
        match verified {
            Ok(true) => Ok(()),
            Ok(false) => Err(ReceiveError::SignatureMismatch),
            Err(mismatch) => {
                if known.calls.keeps_rejections(Instant::now()) {
                    tracing::warn!(
                        channel = %known.channel.id,
                        signed = mismatch.signed,
                        expected_url = mismatch.expected_url,
                        "refused a report: its signature is not the one for the configured URL and token"
                    );
                }
                Err(ReceiveError::SignatureMismatch)
            }
        }
    }

    /// Keeps a request that was refused for what it is. If that fails the
    /// answer is the same; the log line is what remains.
    async fn reject(
        &self,
        request: &ReportRequest<'_>,
        arrived_at: Timestamp,
        error: &ReceiveError,
    ) {
        let (reason, detail) = match error {
            ReceiveError::ChannelDisabled => (RejectionReason::ChannelDisabled, error.to_string()),
            ReceiveError::SignatureMismatch => {
                (RejectionReason::SignatureMismatch, error.to_string())
            }
            ReceiveError::Defective(defect) => (
                RejectionReason::InvalidReport,
                format!("{}: {}", defect.field, defect.expected),
            ),
            ReceiveError::SenderNotAllowed => {
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
        // The store's words and names of fields may repeat what came.
        let detail = mask_numbers(&detail);
        self.observer.rejected(reason);
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
        };
        // The answer does not wait for a store that is away.
        let keeping = self.rejections.keep(rejection);
        if tokio::time::timeout(REJECTION_DEADLINE, keeping)
            .await
            .is_err()
        {
            tracing::warn!(%channel, "a rejection was not kept in time");
        }
    }
}
