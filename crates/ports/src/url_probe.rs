//! Calling a public URL of this service step by step, as an integrator does.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use domain::Timestamp;
use domain::webhook::TargetUrl;

use crate::error::Source;

/// A URL to call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeTarget {
    /// The URL.
    pub url: TargetUrl,
    /// Whether it may lead to addresses outside of the public internet.
    pub private: bool,
}

/// The result of a step and how long it took.
#[derive(Debug)]
pub struct Timed<T> {
    /// The result.
    pub result: Result<T, Source>,
    /// How long it took.
    pub took: Duration,
}

/// How far a connection got. A step that was not tried, because the one before it failed or because
/// the URL does not need it, is `None`.
#[derive(Debug)]
pub struct ProbedConnection {
    /// The addresses of the host.
    pub lookup: Timed<Vec<IpAddr>>,
    /// The address that accepted the connection.
    pub connect: Option<Timed<SocketAddr>>,
    /// The TLS version, of an https URL.
    pub handshake: Option<Timed<String>>,
    /// The certificates that the server presented, its own first; also if they are not valid.
    pub certificates: Vec<PresentedCertificate>,
}

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresentedCertificate {
    /// Its holder; the text comes from the server.
    pub subject: String,
    /// Who issued it; the text comes from the server.
    pub issuer: String,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The value of `WWW-Authenticate`.
    pub challenge: Option<String>,
}

/// Calls URLs.
#[async_trait]
pub trait UrlProbe: Send + Sync {
    /// Looks up the host, connects to the first address that accepts, and completes a TLS handshake
    /// if the URL is https. Stops at the first step that fails. Addresses outside of the public
    /// internet fail unless the target may have them.
    async fn connect(&self, target: &ProbeTarget) -> ProbedConnection;

    /// Sends one POST request over a new connection and waits for the head of the answer, with a
    /// time limit. Redirects are not followed.
    async fn post(
        &self,
        target: &ProbeTarget,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Timed<ProbeAnswer>;
}
