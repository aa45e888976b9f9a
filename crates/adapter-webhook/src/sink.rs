//! One event, one request.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ports::Clock;
use ports::webhook_sender::{Answer, Delivered, OutgoingEvent, SendError, Target, WebhookSender};
use reqwest::header::{CONNECTION, CONTENT_TYPE};
use reqwest::{Certificate, Client, ClientBuilder, Response, StatusCode, redirect};

use crate::answer;
use crate::connected::{self, NoteConnections};
use crate::failure::{self, Failure};
use crate::kept::{IDLE_MAX, KeptConnections};
use crate::proxy::ProxyUrl;
use crate::reach::{OutOfReach, Reach, Resolver};

const USER_AGENT: &str = concat!("receiptd/", env!("CARGO_PKG_VERSION"));
const MEDIA_TYPE: &str = "application/cloudevents+json";

/// How events are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSettings {
    /// How long looking up, connecting and the TLS handshake may take together.
    pub connect_limit: Duration,
    /// How long the whole may take, the answer's body included.
    pub total_limit: Duration,
    /// How long reading the body of an answer may take, whose status says what counts.
    pub body_limit: Duration,
    /// How many connections are kept for the next event, to all targets together.
    pub kept_connections: usize,
    /// Whether events may go to addresses that are not of the public internet.
    pub private_targets: bool,
    /// Connects to targets on our behalf. It looks up their names, so it has to refuse
    /// those of private networks itself; addresses in URLs are refused here.
    pub proxy: Option<ProxyUrl>,
    /// Certificates in PEM that are trusted beside the system's.
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

/// Events cannot be sent with these settings, or on this machine.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The extra certificates are none.
    #[error("the extra certificates are not in PEM (-----BEGIN CERTIFICATE-----)")]
    ExtraRoots,
    /// The proxy cannot be used.
    #[error("the proxy cannot be used")]
    Proxy(#[source] reqwest::Error),
    /// TLS does not work: most often the system has no root certificates.
    #[error(
        "TLS cannot be set up (are root certificates installed, like Debian's ca-certificates?)"
    )]
    Tls(#[source] reqwest::Error),
}

/// Sends events over HTTP/1.1. Connections to one host are kept and shared.
pub struct WebhookSink {
    client: Client,
    without_kept: OnceLock<Client>,
    kept: Arc<KeptConnections>,
    settings: WebhookSettings,
    clock: Arc<dyn Clock>,
}

impl WebhookSink {
    /// Reads the system's root certificates, which is slow: make one and keep it.
    pub fn new(settings: WebhookSettings, clock: Arc<dyn Clock>) -> Result<Self, SetupError> {
        // The process has one provider; whoever comes first installs it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self {
            client: client(&settings)?.build().map_err(SetupError::Tls)?,
            without_kept: OnceLock::new(),
            kept: KeptConnections::new(settings.kept_connections),
            settings,
            clock,
        })
    }

    /// A signature is good for a few minutes around its time, so each try is
    /// signed anew.
    async fn send(
        &self,
        client: &Client,
        target: &Target,
        event: &OutgoingEvent,
        keep: bool,
        limit: Duration,
    ) -> Result<Response, reqwest::Error> {
        let now = self.clock.now();
        let signature = target.secrets.sign(&event.id, now, &event.body);
        let mut request = client.post(target.url.url().clone());
        if !keep {
            request = request.header(CONNECTION, "close");
        }
        request
            .timeout(limit)
            .header(CONTENT_TYPE, MEDIA_TYPE)
            .header("webhook-id", event.id.as_str())
            .header("webhook-timestamp", now.unix_seconds())
            .header("webhook-signature", signature)
            .body(event.body.to_vec())
            .send()
            .await
    }

    /// Sends, and if a kept connection turns out to be dead sends again over a new
    /// one, which is not kept: the server may have closed it before it saw the event.
    /// Returns the answer, and whether its connection may be kept.
    async fn send_alive(
        &self,
        target: &Target,
        event: &OutgoingEvent,
        keep: bool,
        begun: Instant,
    ) -> Result<(Response, bool), reqwest::Error> {
        let limit = self.settings.total_limit;
        let sending = self.send(&self.client, target, event, keep, limit);
        let (sent, connected) = connected::watch(sending).await;
        match sent {
            Ok(response) => Ok((response, keep)),
            Err(error) if connected || error.is_connect() || error.is_timeout() => Err(error),
            Err(error) => {
                let Some(client) = self.without_kept() else {
                    return Err(error);
                };
                let left = limit.saturating_sub(begun.elapsed());
                let sent = self.send(client, target, event, false, left).await;
                Ok((sent?, false))
            }
        }
    }

    /// A client that makes a new connection for each request; `None` if there cannot
    /// be another one. It is seldom needed, and slow to make.
    fn without_kept(&self) -> Option<&Client> {
        if let Some(client) = self.without_kept.get() {
            return Some(client);
        }
        let client = client(&self.settings).ok()?.pool_max_idle_per_host(0);
        let client = client.build().ok()?;
        Some(self.without_kept.get_or_init(|| client))
    }
}

#[async_trait]
impl WebhookSender for WebhookSink {
    async fn deliver(
        &self,
        target: &Target,
        event: &OutgoingEvent,
    ) -> Result<Delivered, SendError> {
        let reach = reach(&self.settings);
        reach.check(&target.url).map_err(refused)?;
        let begun = Instant::now();
        let permit = self.kept.begin(target.url.url().authority(), begun);
        let sent = self.send_alive(target, event, permit.is_some(), begun);
        let (response, keep) = match sent.await {
            Ok(answered) => answered,
            Err(error) => return Err(unanswered(error, begun.elapsed())),
        };
        let status = response.status();
        let after = answer::retry_after(response.headers(), self.clock.now());
        let (excerpt, complete) = answer::excerpt(response, self.settings.body_limit).await;
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
                source: Failure::of_status(status).into(),
            })
        }
    }
}

impl fmt::Debug for WebhookSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSink")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

fn reach(settings: &WebhookSettings) -> Reach {
    if settings.private_targets {
        Reach::Anywhere
    } else {
        Reach::Public
    }
}

fn client(settings: &WebhookSettings) -> Result<ClientBuilder, SetupError> {
    let builder = Client::builder();
    let builder = match &settings.proxy {
        Some(proxy) => builder.proxy(proxy.proxy().map_err(SetupError::Proxy)?),
        // One that the environment names would connect to what is refused here.
        None => builder.no_proxy(),
    };
    // With a proxy, its own name is the only one that is looked up.
    let lookups = match settings.proxy {
        Some(_) => Reach::Anywhere,
        None => reach(settings),
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
        .tls_certs_merge(extra_roots(settings.extra_roots.as_deref())?);
    Ok(builder)
}

fn extra_roots(pem: Option<&[u8]>) -> Result<Vec<Certificate>, SetupError> {
    let Some(pem) = pem else {
        return Ok(Vec::new());
    };
    match Certificate::from_pem_bundle(pem) {
        Ok(roots) if !roots.is_empty() => Ok(roots),
        Ok(_) | Err(_) => Err(SetupError::ExtraRoots),
    }
}

fn unanswered(error: reqwest::Error, took: Duration) -> SendError {
    match failure::out_of_reach(&error) {
        Some(error) => refused(error),
        None => SendError::Retry {
            after: None,
            answer: None,
            took,
            source: Failure::from(error).into(),
        },
    }
}

fn refused(error: OutOfReach) -> SendError {
    SendError::Refused {
        host: error.host,
        address: error.address,
        network: error.network,
    }
}
