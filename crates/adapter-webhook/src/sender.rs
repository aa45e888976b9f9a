//! Sends one event, or one request that is forwarded, in one request.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use domain::ForwardedRequest;
use domain::webhook::TargetUrl;
use ports::webhook_sender::{Answer, Delivered, OutgoingEvent, SendError, Target, WebhookSender};
use ports::{Environment, RequestForwarder};
use reqwest::header::{CONNECTION, CONTENT_TYPE};
use reqwest::{Certificate, Client, ClientBuilder, RequestBuilder, Response, StatusCode, redirect};

use crate::allowed_addresses::{AddressNotAllowed, AllowedAddresses, Resolver};
use crate::connected::{self, NoteConnections};
use crate::connection_budget::{ConnectionBudget, IDLE_MAX};
use crate::failure::{self, AttemptFailure};
use crate::proxy::ProxyUrl;
use crate::response;

pub(crate) const USER_AGENT: &str = concat!("receiptd/", env!("CARGO_PKG_VERSION"));
const MEDIA_TYPE: &str = "application/cloudevents+json";

/// How events are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Timeout of DNS lookup, connection and TLS handshake together.
    pub connect_limit: Duration,
    /// Timeout of the whole attempt, including the body of the response.
    pub total_limit: Duration,
    /// Timeout of reading the body of a response, whose status alone decides the outcome.
    pub body_limit: Duration,
    /// How many idle connections to all endpoints together are kept open.
    pub kept_connections: usize,
    /// Whether events may be sent to addresses outside of the public internet.
    pub private_targets: bool,
    /// A proxy that connects to endpoints. It resolves their names, so it has to refuse those of
    /// private networks itself; literal addresses in URLs are refused here.
    pub proxy: Option<ProxyUrl>,
    /// Root certificates in PEM that are trusted besides those of the system.
    pub extra_roots: Option<Vec<u8>>,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self {
            connect_limit: Duration::from_secs(5),
            total_limit: Duration::from_secs(15),
            body_limit: Duration::from_secs(1),
            kept_connections: 256,
            private_targets: false,
            proxy: None,
            extra_roots: None,
        }
    }
}

/// The sender cannot be set up with these settings, or on this machine.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The extra root certificates are not valid PEM.
    #[error("the extra certificates are not in PEM (-----BEGIN CERTIFICATE-----)")]
    ExtraRoots,
    /// The proxy cannot be used.
    #[error("the proxy cannot be used")]
    Proxy(#[source] reqwest::Error),
    /// TLS does not work; usually the system has no root certificates.
    #[error(
        "TLS cannot be set up (are root certificates installed, like Debian's ca-certificates?)"
    )]
    Tls(#[source] reqwest::Error),
}

/// What is sent.
#[derive(Clone, Copy)]
enum Outgoing<'a> {
    /// An event, signed.
    Event(&'a Target, &'a OutgoingEvent),
    /// A request as it arrived.
    Forwarded(&'a TargetUrl, &'a ForwardedRequest),
}

impl Outgoing<'_> {
    fn url(&self) -> &TargetUrl {
        match self {
            Self::Event(target, _) => &target.url,
            Self::Forwarded(url, _) => url,
        }
    }

    /// Adds header lines and body. A signature expires within minutes, so each attempt has a new
    /// one.
    fn fill(&self, request: RequestBuilder, clock: &dyn Environment) -> RequestBuilder {
        match self {
            Self::Event(target, event) => {
                let now = clock.now();
                let signature = target.secrets.sign(&event.id, now, &event.body);
                request
                    .header(CONTENT_TYPE, MEDIA_TYPE)
                    .header("webhook-id", event.id.as_str())
                    .header("webhook-timestamp", now.unix_seconds())
                    .header("webhook-signature", signature)
                    .body(event.body.to_vec())
            }
            Self::Forwarded(_, forwarded) => {
                let headers = forwarded.headers().iter();
                let request = headers.fold(request, |request, (name, value)| {
                    request.header(name, value.as_slice())
                });
                request.body(forwarded.body().to_vec())
            }
        }
    }
}

/// Sends events and forwards requests over HTTP/1.1 with pooled connections.
pub struct WebhookSink {
    client: Client,
    unpooled: OnceLock<Client>,
    budget: Arc<ConnectionBudget>,
    settings: WebhookSettings,
    clock: Arc<dyn Environment>,
}

impl WebhookSink {
    /// Creates a sender. It loads the system's root certificates, which is slow: create one and
    /// share it.
    pub fn new(settings: WebhookSettings, clock: Arc<dyn Environment>) -> Result<Self, SetupError> {
        // Fails if a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self {
            client: client(&settings)?.build().map_err(SetupError::Tls)?,
            unpooled: OnceLock::new(),
            budget: ConnectionBudget::new(settings.kept_connections),
            settings,
            clock,
        })
    }

    async fn send(
        &self,
        client: &Client,
        outgoing: Outgoing<'_>,
        keep: bool,
        limit: Duration,
    ) -> Result<Response, reqwest::Error> {
        let mut request = client.post(outgoing.url().url().clone());
        if !keep {
            request = request.header(CONNECTION, "close");
        }
        let request = outgoing.fill(request, &*self.clock);
        request.timeout(limit).send().await
    }

    /// Sends something, and sends it again over a new connection if a pooled one turns out to be
    /// dead, since the server may have closed it before it received the event. Returns the
    /// response, and whether its connection may be kept.
    async fn send_alive(
        &self,
        outgoing: Outgoing<'_>,
        keep: bool,
        begun: Instant,
    ) -> Result<(Response, bool), reqwest::Error> {
        let limit = self.settings.total_limit;
        let sending = self.send(&self.client, outgoing, keep, limit);
        let (sent, connected) = connected::watch(sending).await;
        match sent {
            Ok(response) => Ok((response, keep)),
            Err(error) if connected || error.is_connect() || error.is_timeout() => Err(error),
            Err(error) => {
                let Some(client) = self.unpooled() else {
                    return Err(error);
                };
                let left = limit.saturating_sub(begun.elapsed());
                let sent = self.send(client, outgoing, false, left).await;
                Ok((sent?, false))
            }
        }
    }

    /// Returns a client that opens a new connection for each request, or `None` if it cannot be
    /// created. It is created on first use, since that is slow and seldom needed.
    fn unpooled(&self) -> Option<&Client> {
        if let Some(client) = self.unpooled.get() {
            return Some(client);
        }
        let client = client(&self.settings).ok()?.pool_max_idle_per_host(0);
        let client = client.build().ok()?;
        Some(self.unpooled.get_or_init(|| client))
    }

    /// Makes one attempt and judges the response.
    async fn attempt(&self, outgoing: Outgoing<'_>) -> Result<Delivered, SendError> {
        let url = outgoing.url();
        allowed_addresses(&self.settings)
            .check(url)
            .map_err(refused)?;
        let begun = Instant::now();
        let permit = self.budget.begin(url.url().authority(), begun);
        let sent = self.send_alive(outgoing, permit.is_some(), begun);
        let (response, keep) = match sent.await {
            Ok(answered) => answered,
            Err(error) => return Err(unanswered(error, begun.elapsed())),
        };
        let status = response.status();
        let after = response::retry_after(response.headers(), self.clock.now());
        let (excerpt, complete) = response::excerpt(response, self.settings.body_limit).await;
        if let Some(permit) = permit.filter(|_| keep && complete) {
            permit.keep(Instant::now());
        }
        let answer = Answer {
            status: status.as_u16(),
            excerpt,
        };
        let took = begun.elapsed();
        if status.is_success() {
            Ok(Delivered { answer, took })
        } else if status == StatusCode::GONE {
            Err(SendError::Gone { answer, took })
        } else {
            Err(SendError::Retry {
                after,
                answer: Some(answer),
                took,
                source: AttemptFailure::of_status(status).into(),
            })
        }
    }
}

#[async_trait]
impl WebhookSender for WebhookSink {
    async fn deliver(
        &self,
        target: &Target,
        event: &OutgoingEvent,
    ) -> Result<Delivered, SendError> {
        self.attempt(Outgoing::Event(target, event)).await
    }
}

#[async_trait]
impl RequestForwarder for WebhookSink {
    async fn forward(
        &self,
        url: &TargetUrl,
        request: &ForwardedRequest,
    ) -> Result<Delivered, SendError> {
        self.attempt(Outgoing::Forwarded(url, request)).await
    }
}

impl fmt::Debug for WebhookSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSink")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

fn allowed_addresses(settings: &WebhookSettings) -> AllowedAddresses {
    if settings.private_targets {
        AllowedAddresses::Anywhere
    } else {
        AllowedAddresses::Public
    }
}

pub(crate) fn client(settings: &WebhookSettings) -> Result<ClientBuilder, SetupError> {
    let builder = Client::builder();
    let builder = match &settings.proxy {
        Some(proxy) => builder.proxy(proxy.proxy().map_err(SetupError::Proxy)?),
        // A proxy of the environment would connect to addresses that are refused here.
        None => builder.no_proxy(),
    };
    // With a proxy, only its own name is resolved here.
    let lookups = match settings.proxy {
        Some(_) => AllowedAddresses::Anywhere,
        None => allowed_addresses(settings),
    };
    let builder = builder
        .user_agent(USER_AGENT)
        .http1_only()
        .redirect(redirect::Policy::none())
        .dns_resolver(Resolver::new(lookups))
        .connect_timeout(settings.connect_limit)
        .connector_layer(NoteConnections)
        .pool_idle_timeout(IDLE_MAX)
        .tcp_nodelay(true)
        .tls_certs_merge(certificates(settings.extra_roots.as_deref())?);
    Ok(builder)
}

/// Parses extra root certificates.
pub(crate) fn certificates(pem: Option<&[u8]>) -> Result<Vec<Certificate>, SetupError> {
    let Some(pem) = pem else {
        return Ok(Vec::new());
    };
    match Certificate::from_pem_bundle(pem) {
        Ok(roots) if !roots.is_empty() => Ok(roots),
        Ok(_) | Err(_) => Err(SetupError::ExtraRoots),
    }
}

fn unanswered(error: reqwest::Error, took: Duration) -> SendError {
    match failure::address_not_allowed(&error) {
        Some(error) => refused(error),
        None => SendError::Retry {
            after: None,
            answer: None,
            took,
            source: AttemptFailure::from(error).into(),
        },
    }
}

fn refused(error: AddressNotAllowed) -> SendError {
    SendError::Refused {
        host: error.host,
        address: error.address,
        network: error.network,
    }
}
