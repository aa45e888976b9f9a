//! What a certificate says.

use domain::Timestamp;
use domain::webhook::AnswerExcerpt;
use ports::error::Source;
use ports::url_probe::PresentedCertificate;
use x509_parser::parse_x509_certificate;
use x509_parser::x509::X509Name;

/// Reads holder, issuer and expiry.
pub(super) fn parse(der: &[u8]) -> Result<PresentedCertificate, Source> {
    let (_, certificate) = parse_x509_certificate(der)?;
    let expires_at = certificate.validity().not_after.timestamp();
    Ok(PresentedCertificate {
        subject: name(certificate.subject()),
        issuer: name(certificate.issuer()),
        expires_at: Timestamp::from_unix_micros(expires_at.saturating_mul(1_000_000))?,
    })
}

/// Returns the common name, or the whole name if there is none. The text comes from the server.
fn name(name: &X509Name<'_>) -> String {
    let mut common_names = name.iter_common_name();
    let common = common_names.find_map(|name| name.as_str().ok());
    let text = common.map_or_else(|| name.to_string(), str::to_owned);
    AnswerExcerpt::of(text.as_bytes()).to_string()
}
