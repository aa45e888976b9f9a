//! Calls a public URL of this service step by step, as an integrator does.

mod certificate;
mod handshake;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ports::error::Source;
use ports::url_probe::{ProbeAnswer, ProbeTarget, ProbedConnection, Timed, UrlProbe};
use reqwest::header::WWW_AUTHENTICATE;
use reqwest::{Client, redirect};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::allowed_addresses::{AllowedAddresses, NoAddress, Resolver, look_up};
use crate::failure::{AttemptFailure, address_not_allowed};
use crate::sender::{SetupError, USER_AGENT, certificates};

/// How long a lookup, a connection or a handshake may take.
const STEP_LIMIT: Duration = Duration::from_secs(5);

/// How long a request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// How many lookups run at the same time.
const MAX_LOOKUPS: usize = 4;

/// Calls URLs over connections of its own, without a proxy.
pub struct UrlProber {
    /// Root certificates in PEM that are trusted besides those of the system.
    extra_roots: Option<Vec<u8>>,
    lookups: Arc<Semaphore>,
}

impl UrlProber {
    /// Creates a prober that trusts the system's root certificates and these.
    #[must_use]
    pub fn new(extra_roots: Option<Vec<u8>>) -> Self {
        Self {
            extra_roots,
            lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)),
        }
    }

    async fn look_up(&self, target: &ProbeTarget) -> Result<Vec<SocketAddr>, Source> {
        let allowed = allowed(target);
        let url = target.url.url();
        let port = url.port_or_known_default().unwrap_or(443);
        if let Some(address) = target.url.literal_address() {
            allowed.check(&target.url)?;
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let host = url.host_str().unwrap_or_default();
        let found = look_up(host.to_owned(), Arc::clone(&self.lookups)).await?;
        if found.is_empty() {
            return Err(NoAddress.into());
        }
        let mut found = allowed.filter(host, found)?;
        for address in &mut found {
            address.set_port(port);
        }
        Ok(found)
    }

    fn client(&self, target: &ProbeTarget) -> Result<Client, SetupError> {
        // Fails if a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Client::builder()
            .user_agent(USER_AGENT)
            .http1_only()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .dns_resolver(Resolver::new(allowed(target)))
            .connect_timeout(STEP_LIMIT)
            .timeout(REQUEST_LIMIT)
            .pool_max_idle_per_host(0)
            .tls_certs_merge(certificates(self.extra_roots.as_deref())?)
            .build()
            .map_err(SetupError::Tls)
    }
}

fn allowed(target: &ProbeTarget) -> AllowedAddresses {
    if target.private {
        AllowedAddresses::Anywhere
    } else {
        AllowedAddresses::Public
    }
}

#[async_trait]
impl UrlProbe for UrlProber {
    async fn connect(&self, target: &ProbeTarget) -> ProbedConnection {
        let lookup = timed(self.look_up(target)).await;
        let addresses = lookup.result.as_ref().ok().cloned();
        let ips = |addresses: Vec<SocketAddr>| addresses.iter().map(SocketAddr::ip).collect();
        let mut probed = ProbedConnection {
            lookup: Timed::<Vec<IpAddr>> {
                result: lookup.result.map(ips),
                took: lookup.took,
            },
            connect: None,
            handshake: None,
            certificates: Vec::new(),
        };
        let Some(addresses) = addresses else {
            return probed;
        };
        let Timed { result, took } = timed(connect(&addresses)).await;
        let (stream, result) = match result {
            Ok((stream, address)) => (Some(stream), Ok(address)),
            Err(error) => (None, Err(error)),
        };
        probed.connect = Some(Timed { result, took });
        let url = target.url.url();
        let Some(stream) = stream.filter(|_| url.scheme() == "https") else {
            return probed;
        };
        let host = url.host_str().unwrap_or_default();
        let (handshake, certificates) =
            handshake::run(stream, host, self.extra_roots.as_deref()).await;
        probed.handshake = Some(handshake);
        probed.certificates = certificates;
        probed
    }

    async fn post(
        &self,
        target: &ProbeTarget,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Timed<ProbeAnswer> {
        let client = match allowed(target).check(&target.url).map_err(Source::from) {
            Ok(()) => self.client(target).map_err(Source::from),
            Err(error) => Err(error),
        };
        let begun = Instant::now();
        let result = match client {
            Ok(client) => post(&client, target, headers, body).await,
            Err(error) => Err(error),
        };
        Timed {
            result,
            took: begun.elapsed(),
        }
    }
}

/// Connects to the first address that accepts.
async fn connect(addresses: &[SocketAddr]) -> Result<(TcpStream, SocketAddr), Source> {
    let mut failed = Source::from(NoAddress);
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok((stream, *address)),
            Err(error) => failed = error.into(),
        }
    }
    Err(failed)
}

async fn post(
    client: &Client,
    target: &ProbeTarget,
    headers: &[(&'static str, String)],
    body: Vec<u8>,
) -> Result<ProbeAnswer, Source> {
    let mut request = client.post(target.url.url().clone()).body(body);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let response = request.send().await.map_err(|error| {
        address_not_allowed(&error).map_or_else(
            || Source::from(AttemptFailure::from(error)),
            |refused| Source::from(refused),
        )
    })?;
    let challenge = response.headers().get(WWW_AUTHENTICATE);
    Ok(ProbeAnswer {
        status: response.status().as_u16(),
        challenge: challenge
            .and_then(|challenge| challenge.to_str().ok())
            .map(str::to_owned),
    })
}

/// Runs a step with a time limit.
async fn timed<T>(step: impl Future<Output = Result<T, Source>>) -> Timed<T> {
    let begun = Instant::now();
    let result = tokio::time::timeout(STEP_LIMIT, step).await;
    let seconds = STEP_LIMIT.as_secs();
    let result = result.unwrap_or_else(|_| Err(format!("no answer within {seconds} s").into()));
    Timed {
        result,
        took: begun.elapsed(),
    }
}
