//! A TLS handshake that notes the certificates of the server, also if they are not valid.

use std::sync::{Arc, Mutex, PoisonError};

use ports::error::Source;
use ports::url_probe::{PresentedCertificate, Timed};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{certificate, timed};

/// Completes a handshake and returns the TLS version, and the certificates that were presented.
pub(super) async fn run(
    stream: TcpStream,
    host: &str,
    extra_roots: Option<&[u8]>,
) -> (Timed<String>, Vec<PresentedCertificate>) {
    let prepared = prepare(extra_roots);
    let presented = prepared.as_ref().ok().map(|it| Arc::clone(&it.presented));
    let handshake = timed(async {
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
        let connector = TlsConnector::from(Arc::new(prepared?.config));
        let stream = connector.connect(name, stream).await?;
        let version = stream.get_ref().1.protocol_version();
        let version = version.and_then(|version| version.as_str().map(str::to_owned));
        Ok(version.unwrap_or_default().replace("TLSv1_", "TLS 1."))
    });
    let handshake = handshake.await;
    let presented = presented.map(|presented| {
        let presented = presented.lock().unwrap_or_else(PoisonError::into_inner);
        let parsed = presented.iter().map(|der| certificate::parse(der));
        parsed.map_while(Result::ok).collect()
    });
    (handshake, presented.unwrap_or_default())
}

/// The certificates that a server presented, its own first.
type Presented = Arc<Mutex<Vec<CertificateDer<'static>>>>;

struct Prepared {
    config: ClientConfig,
    presented: Presented,
}

fn prepare(extra_roots: Option<&[u8]>) -> Result<Prepared, Source> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = CertificateDer::pem_slice_iter(extra_roots.unwrap_or_default());
    let roots = roots.collect::<Result<Vec<_>, _>>()?;
    let presented = Presented::default();
    let verifier = NotingVerifier {
        verifier: Verifier::new_with_extra_roots(roots, Arc::clone(&provider))?,
        presented: Arc::clone(&presented),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Prepared { config, presented })
}

/// Verifies as the system does, and notes what it verified.
#[derive(Debug)]
struct NotingVerifier {
    verifier: Verifier,
    presented: Presented,
}

impl ServerCertVerifier for NotingVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = std::iter::once(end_entity).chain(intermediates);
        let chain = chain.map(|each| each.clone().into_owned()).collect();
        *self
            .presented
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = chain;
        self.verifier
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
