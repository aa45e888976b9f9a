//! The host names under which the operator's listener answers.
//!
//! A web page can point its own host name at this machine and read the listener's answers as if
//! they came from its own server (DNS rebinding). The browser sends that name as `Host`, so only
//! known names are answered.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, web};

use crate::problem::Problem;
use crate::request_log::MONITORED;

/// Host names of the operator's listener, besides IP addresses and `localhost`.
#[derive(Clone, Debug, Default)]
pub struct HostNames(Arc<[String]>);

impl HostNames {
    /// Takes names without scheme and port; they are compared without case.
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().collect())
    }

    /// Returns whether a `Host` header, with or without a port, names this listener.
    fn include(&self, host: &str) -> bool {
        if let Some(rest) = host.strip_prefix('[') {
            let address = rest
                .split_once(']')
                .map_or(rest, |(address, _port)| address);
            return address.parse::<Ipv6Addr>().is_ok();
        }
        let name = host.split_once(':').map_or(host, |(name, _port)| name);
        name.eq_ignore_ascii_case("localhost")
            || name.parse::<IpAddr>().is_ok()
            || self.0.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// Answers requests to other hosts with 421. Health and metrics are exempt: probes address them by
/// service names, and they reveal nothing without the token.
pub(crate) async fn require_known(
    hosts: web::Data<HostNames>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let host = request.headers().get(header::HOST);
    let host = host.map(HeaderValue::to_str).and_then(Result::ok);
    let known = host.is_some_and(|host| hosts.include(host));
    if known || MONITORED.contains(&request.path()) {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let problem = Problem::new(
        StatusCode::MISDIRECTED_REQUEST,
        "unknown_host",
        "use an IP address or localhost, or add this host name to RECEIPTD_ADMIN_HOSTS",
    );
    Ok(request.into_response(problem.response()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_localhost_and_configured_names_are_known() {
        let names = HostNames::new(["Ops.example.com".to_owned()]);
        for known in [
            "localhost",
            "LOCALHOST:8081",
            "127.0.0.1",
            "10.1.2.3:8081",
            "[::1]",
            "[fe80::1]:8081",
            "ops.example.com",
            "ops.EXAMPLE.com:443",
        ] {
            assert!(names.include(known), "{known}");
        }
        for unknown in [
            "",
            "rebind.example.net",
            "ops.example.com.example.net",
            "127.0.0.1.example.net",
            "localhost.example.net:8081",
            "[rebind.example.net]",
            "2130706433",
        ] {
            assert!(!names.include(unknown), "{unknown}");
        }
    }
}
