//! Certificates of endpoints.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;

use adapter_webhook::{SetupError, WebhookSettings, WebhookSink};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use testkit::clock::FixedClock;

use crate::server::{NO_CONTENT, Server, keep_answering, wait_for_end};
use crate::support::{deliver, retry, settings};

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// Returns its certificate in PEM.
    pub(crate) fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    pub(crate) fn trusted(&self) -> WebhookSettings {
        WebhookSettings {
            extra_roots: Some(self.pem()),
            ..settings()
        }
    }

    /// A server with a certificate of this authority.
    pub(crate) fn server(&self, params: &CertificateParams) -> Server {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
            )
            .expect("a certificate with its key");
        let config = Arc::new(config);
        Server::start(move |stream| serve(stream, Arc::clone(&config)))
    }
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>) {
    let connection = ServerConnection::new(config).expect("a connection");
    keep_answering(StreamOwned::new(connection, stream), NO_CONTENT);
}

pub(crate) fn named(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).expect("a name")
}

/// A server with an untrusted certificate.
pub(crate) fn stranger() -> Server {
    Authority::new("a stranger").server(&named("127.0.0.1"))
}

fn url(host: &str, server: &Server) -> String {
    format!("https://{host}:{}/", server.port())
}

#[tokio::test]
async fn a_valid_certificate_is_accepted() {
    let authority = Authority::new("a friend");
    for host in ["127.0.0.1", "localhost"] {
        let server = authority.server(&named(host));
        let delivered = deliver(authority.trusted(), &url(host, &server)).await;
        assert_eq!(delivered.unwrap().answer.status, 204);
    }
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let server = stranger();
    for settings in [settings(), Authority::new("a friend").trusted()] {
        let retry = retry(settings, &url("127.0.0.1", &server)).await;
        assert!(retry.said.contains("UnknownIssuer"), "{}", retry.said);
        assert!(retry.said.starts_with("no connection"), "{}", retry.said);
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new("a friend");
    let server = authority.server(&named("example.com"));
    let retry = retry(authority.trusted(), &url("127.0.0.1", &server)).await;
    assert!(retry.said.contains("not valid for"), "{}", retry.said);
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let authority = Authority::new("a friend");
    let mut params = named("127.0.0.1");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
    let server = authority.server(&params);
    let retry = retry(authority.trusted(), &url("127.0.0.1", &server)).await;
    assert!(retry.said.contains("expired"), "{}", retry.said);
}

#[tokio::test]
async fn a_plaintext_server_is_refused_for_https() {
    let server = Server::start(|mut stream| {
        let _ = stream.write_all(NO_CONTENT);
        wait_for_end(&mut stream);
    });
    let retry = retry(settings(), &url("127.0.0.1", &server)).await;
    assert!(
        retry.said.starts_with("no connection to the target: "),
        "{}",
        retry.said
    );
}

#[test]
fn extra_certificates_that_are_none_are_refused() {
    for pem in ["", "nonsense", "-----BEGIN CERTIFICATE-----\n%%%\n"] {
        let settings = WebhookSettings {
            extra_roots: Some(pem.into()),
            ..settings()
        };
        let made = WebhookSink::new(settings, Arc::new(FixedClock::default()));
        assert!(matches!(made, Err(SetupError::ExtraRoots)), "{pem}");
    }
}
