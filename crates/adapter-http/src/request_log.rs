//! One line a request: who asks what of the operator's listener is worth
//! knowing, reports and the questions of monitors are too many for that. Never
//! a query, a header or a body.

use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest};

use crate::metrics::Outcome;

/// Writes the line of a request to the operator's listener.
pub(crate) async fn operator(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let began = Instant::now();
    let response = next.call(request).await?;
    let request = response.request();
    let pattern = request.match_pattern();
    let route = pattern.as_deref().unwrap_or("none");
    let (status, ms) = (response.status(), milliseconds(began.elapsed()));
    if MONITORED.contains(&route) && status.is_success() {
        tracing::debug!(method = %request.method(), route, status = status.as_u16(), ms, "answered a request");
    } else if status.is_success() && !request.method().is_safe() {
        // Who changes something names it in the path: ids and names, nothing personal.
        tracing::info!(method = %request.method(), route, path = request.path(), status = status.as_u16(), ms, "answered a request");
    } else {
        tracing::info!(method = %request.method(), route, status = status.as_u16(), ms, "answered a request");
    }
    Ok(response)
}

/// Asked every few seconds, by programs.
pub(crate) const MONITORED: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Writes the line of a request to the webhook, which only debugging shows.
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

/// Whole microseconds are exact enough, and shorter to read.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
