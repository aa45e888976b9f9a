//! One event, one request.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ports::Clock;
use ports::events::{Answer, Delivered, EventSink, OutgoingEvent, SinkError, Target};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Certificate, Client, Response, StatusCode, redirect};

use crate::answer;
use crate::failure::{self, Failure};
use crate::reach::{OutOfReach, Reach, Resolver};

const USER_AGENT: &str = concat!("receiptd/", env!("CARGO_PKG_VERSION"));
const MEDIA_TYPE: &str = "application/cloudevents+json";

/// How long an idle connection is kept. Servers commonly close theirs after
/// five seconds; who is later than that sends into a closing connection.
const IDLE_MAX: Duration = Duration::from_secs(4);

/// How events are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSettings {
    /// How long looking up, connecting and the TLS handshake may take together.
    pub connect_limit: Duration,
    /// How long the whole may take, the answer's body included.
    pub total_limit: Duration,
    /// Whether events may go to addresses that are not of the public internet.
    pub private_targets: bool,
    /// Certificates in PEM that are trusted beside the system's.
    pub extra_roots: Option<Vec<u8>>,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self {
            connect_limit: Duration::from_secs(5),
            total_limit: Duration::from_secs(15),
            private_targets: false,
            extra_roots: None,
        }
    }
}

/// Events cannot be sent with these settings, or on this machine.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The extra certificates are none.
    #[error("the extra certificates are not in PEM (-----BEGIN CERTIFICATE-----)")]
    ExtraRoots,
    /// TLS does not work: most often the system has no root certificates.
    #[error(
        "TLS cannot be set up (are root certificates installed, like Debian's ca-certificates?)"
    )]
    Tls(#[source] reqwest::Error),
}

/// Sends events over HTTP/1.1. Connections to one host are kept and shared.
pub struct WebhookSink {
    client: Client,
    reach: Reach,
    clock: Arc<dyn Clock>,
}

impl WebhookSink {
    /// Reads the system's root certificates, which is slow: make one and keep it.
    pub fn new(settings: WebhookSettings, clock: Arc<dyn Clock>) -> Result<Self, SetupError> {
        // The process has one provider; whoever comes first installs it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let reach = if settings.private_targets {
            Reach::Anywhere
        } else {
            Reach::Public
        };
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .http1_only()
            // A proxy would connect to what is refused here.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .dns_resolver(Resolver::new(reach))
            .connect_timeout(settings.connect_limit)
            .timeout(settings.total_limit)
            .pool_idle_timeout(IDLE_MAX)
            .tcp_nodelay(true)
            .tls_certs_merge(extra_roots(settings.extra_roots)?)
            .build()
            .map_err(SetupError::Tls)?;
        Ok(Self {
            client,
            reach,
            clock,
        })
    }

    /// A signature is good for a few minutes around its time, so each try is
    /// signed anew.
    async fn send(
        &self,
        target: &Target,
        event: &OutgoingEvent,
    ) -> Result<Response, reqwest::Error> {
        let now = self.clock.now();
        let signature = target.secrets.sign(&event.id, now, &event.body);
        self.client
            .post(target.url.url().clone())
            .header(CONTENT_TYPE, MEDIA_TYPE)
            .header("webhook-id", event.id.as_str())
            .header("webhook-timestamp", now.unix_seconds())
            .header("webhook-signature", signature)
            .body(event.body.to_vec())
            .send()
            .await
    }
}

#[async_trait]
impl EventSink for WebhookSink {
    async fn deliver(
        &self,
        target: &Target,
        event: &OutgoingEvent,
    ) -> Result<Delivered, SinkError> {
        self.reach.check(&target.url).map_err(refused)?;
        let begun = Instant::now();
        let response = match self.send(target, event).await {
            Ok(response) => response,
            Err(error) => return Err(unanswered(error, begun.elapsed())),
        };
        let status = response.status();
        let after = answer::retry_after(response.headers(), self.clock.now());
        let answer = Answer {
            status: status.as_u16(),
            excerpt: answer::excerpt(response).await,
        };
        let took = begun.elapsed();
        if status.is_success() {
            Ok(Delivered { answer, took })
        } else if status == StatusCode::GONE {
            Err(SinkError::Gone { answer, took })
        } else {
            Err(SinkError::Retry {
                after,
                answer: Some(answer),
                took,
                source: Failure::of_status(status).into(),
            })
        }
    }
}

impl fmt::Debug for WebhookSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSink")
            .field("reach", &self.reach)
            .finish_non_exhaustive()
    }
}

fn extra_roots(pem: Option<Vec<u8>>) -> Result<Vec<Certificate>, SetupError> {
    let Some(pem) = pem else {
        return Ok(Vec::new());
    };
    match Certificate::from_pem_bundle(&pem) {
        Ok(roots) if !roots.is_empty() => Ok(roots),
        Ok(_) | Err(_) => Err(SetupError::ExtraRoots),
    }
}

fn unanswered(error: reqwest::Error, took: Duration) -> SinkError {
    match failure::out_of_reach(&error) {
        Some(error) => refused(error),
        None => SinkError::Retry {
            after: None,
            answer: None,
            took,
            source: Failure::from(error).into(),
        },
    }
}

fn refused(error: OutOfReach) -> SinkError {
    SinkError::Refused {
        host: error.host,
        address: error.address,
        network: error.network,
    }
}
