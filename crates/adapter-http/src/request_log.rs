//! One log line and one span for each request, without queries, headers and bodies. Requests to the
//! operator's listener are logged at `info`; reports and probes are too many for that.

use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest};
use tracing::{Instrument as _, Span, debug_span};

use crate::outcome::Outcome;

/// The paths that probes request every few seconds.
pub(crate) const MONITORED: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Logs a request to the operator's listener.
pub(crate) async fn operator(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let start = Instant::now();
    let span = span(request.request());
    let response = next.call(request).instrument(span).await?;
    let request = response.request();
    let pattern = request.match_pattern();
    let route = pattern.as_deref().unwrap_or("none");
    let method = request.method();
    let (status, ms) = (response.status(), milliseconds(start.elapsed()));
    let success = status.is_success();
    let status = status.as_u16();
    if MONITORED.contains(&route) && success {
        tracing::debug!(%method, route, status, ms, "answered a request");
    } else if success && !method.is_safe() {
        // The path names what was changed: ids and names, no personal data.
        tracing::info!(%method, route, path = request.path(), status, ms, "answered a request");
    } else {
        tracing::info!(%method, route, status, ms, "answered a request");
    }
    Ok(response)
}

/// Logs a request to the webhook at `debug`.
pub(crate) fn webhook(request: &HttpRequest, status: StatusCode, outcome: Outcome, took: Duration) {
    tracing::debug!(
        method = %request.method(),
        path = request.path(),
        status = status.as_u16(),
        outcome = outcome.as_str(),
        ms = milliseconds(took),
        "answered a request"
    );
}

/// Makes the span of a request, at `debug`; where that level is disabled it costs one check.
pub(crate) fn span(request: &HttpRequest) -> Span {
    debug_span!("request", method = %request.method(), path = request.path())
}

/// Rounds to whole microseconds, which are exact enough and shorter to read.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
