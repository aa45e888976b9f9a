//! Storing requests before they are answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::crypto::ServerSecret;
use domain::{ForwardedRequest, ForwardedRequestKey, Timestamp};
use ports::error::{Source, error_chain};
use ports::forwarding::{NewForwardedRequest, StoredRequest};
use ports::metrics::ForwardOutcome;
use ports::{Environment, ForwardedRequestStore, Metrics};
use tokio::sync::Notify;

use super::outbox_writer::OutboxWriter;
use crate::ingest::receive::ReportRequest;
use crate::log_limit::LogLimit;

/// How long an answer waits for its request to be stored.
const STORE_TIMEOUT: Duration = Duration::from_secs(5);

/// The header line that is forwarded of every integrator.
const MEDIA_TYPE: &str = "Content-Type";

/// Tells the worker of the same process that a request was stored.
pub type ForwardingArrivals = Arc<Notify>;

/// Stores requests that are not reports, until they are forwarded.
pub struct ForwardingOutbox {
    writer: OutboxWriter,
    secret: ServerSecret,
    environment: Arc<dyn Environment>,
    metrics: Arc<dyn Metrics>,
    arrivals: ForwardingArrivals,
    log: LogLimit,
}

/// Why a request was not stored. The caller has to send it again.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// Too much of the channel waits to be forwarded.
    #[error("too many requests of the channel wait to be forwarded")]
    Full,
    /// The store failed.
    #[error("the request was not stored")]
    Unavailable(#[source] Source),
}

/// Stores a request in the outbox, if one is given.
pub(crate) async fn store(
    outbox: Option<&ForwardingOutbox>,
    request: &ReportRequest<'_>,
    arrived_at: Timestamp,
) -> Result<(), ForwardError> {
    match outbox {
        Some(outbox) => outbox.store(request, arrived_at).await,
        None => Ok(()),
    }
}

impl ForwardingOutbox {
    /// Stores requests sealed with `secret`.
    #[must_use]
    pub fn new(
        store: Arc<dyn ForwardedRequestStore>,
        secret: ServerSecret,
        environment: Arc<dyn Environment>,
        metrics: Arc<dyn Metrics>,
        arrivals: ForwardingArrivals,
    ) -> Self {
        Self {
            writer: OutboxWriter::new(store),
            secret,
            environment,
            metrics,
            arrivals,
            log: LogLimit::default(),
        }
    }

    /// Stores a request if its channel has a forward URL. When this returns `Ok`, it is durable, or
    /// there is nowhere to forward it to.
    async fn store(
        &self,
        request: &ReportRequest<'_>,
        arrived_at: Timestamp,
    ) -> Result<(), ForwardError> {
        let channel = &request.caller.channel.channel;
        let Some(names) = request.integrator.forwarded_headers() else {
            return Ok(());
        };
        if channel.forward_url.is_none() || request.caller.is_test {
            return Ok(());
        }
        let names = std::iter::once(&MEDIA_TYPE).chain(names);
        let headers = names.filter_map(|name| {
            let value = request.headers.get(name)?;
            Some(((*name).to_owned(), value.to_vec()))
        });
        let forwarded = ForwardedRequest::new(headers.collect(), request.body.to_vec());
        let context = ForwardedRequest::sealing_context(&channel.id);
        let [nonce @ .., _, _, _, _, _, _, _, _] = self.environment.secret_bytes();
        let new = NewForwardedRequest {
            key: ForwardedRequestKey {
                channel: channel.id.clone(),
                body_hash: self.secret.body_hash(&channel.id, request.body),
            },
            sealed: self.secret.seal_bytes(&forwarded.encode(), &context, nonce),
            arrived_at,
        };
        let writing = self.writer.write(new);
        let stored = match tokio::time::timeout(STORE_TIMEOUT, writing).await {
            Ok(Ok(StoredRequest::Full)) => Err(ForwardError::Full),
            Ok(stored) => stored,
            Err(_) => Err(ForwardError::Unavailable("the store is too slow".into())),
        };
        match stored {
            Ok(StoredRequest::Stored) => {
                self.metrics.forwarding(ForwardOutcome::Stored, 1);
                self.arrivals.notify_one();
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error) => {
                self.metrics.forwarding(ForwardOutcome::Refused, 1);
                if let Some(omitted) = self.log.allow(Instant::now()) {
                    tracing::warn!(
                        channel = %channel.id,
                        error = error_chain(&error),
                        omitted,
                        "a request to forward was not stored and is answered 503; the integrator \
                         sends it again"
                    );
                }
                Err(error)
            }
        }
    }
}
