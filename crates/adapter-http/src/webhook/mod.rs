//! The path of a report: route, method, authentication, media type, body, use case.
//!
//! The order matters. An unauthenticated request is answered from its head alone and its body is
//! dropped. Half of all valid requests are such, since Twilio sends credentials only when asked.
//! Only callers that sign the body instead are authenticated after it is read.

mod error;
pub mod path;
mod unauthenticated_bodies;

use std::sync::Arc;
use std::time::Instant;

use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use ports::integrator::Endpoint;
use ports::{Headers, Integrator};
use tracing::Instrument as _;
use usecases::ingest::authenticate::AuthenticatedCaller;
use usecases::ingest::receive::ReportRequest;
use usecases::{AuthenticateCaller, Authentication, Integrators, ReceiveReport};

use crate::auth_failure_throttle::AuthFailureThrottle;
use crate::metrics::registry::MetricsRegistry;
use crate::outcome::Outcome;
use crate::request_body::{REPORT_BODY_MAX, RequestBody, closing};
use crate::settings::ListenerSettings;
use crate::{request_log, transport};
use error::WebhookError;
use unauthenticated_bodies::UnauthenticatedBodies;
use usecases::RuntimeHandle;

/// The use cases and values of the public listener.
#[derive(Clone)]
pub struct PublicState {
    /// The integrators that may report.
    pub integrators: Integrators,
    /// Authenticates callers.
    pub authenticate: Arc<AuthenticateCaller>,
    /// Receives reports.
    pub receive: Arc<ReceiveReport>,
    /// The metrics of this process.
    pub metrics: Arc<MetricsRegistry>,
}

/// How many wrong passwords are answered at a time; with the default delay 320 a second.
const CONCURRENT_AUTH_FAILURES: usize = 64;

/// The state of the webhook's handler.
pub(crate) struct Webhook {
    state: PublicState,
    settings: ListenerSettings,
    auth_failures: AuthFailureThrottle,
    unauthenticated_bodies: UnauthenticatedBodies,
    runtime: RuntimeHandle,
}

impl Webhook {
    pub(crate) fn new(
        state: PublicState,
        settings: ListenerSettings,
        runtime: RuntimeHandle,
    ) -> Self {
        let delay = settings.refusal_delay;
        Self {
            auth_failures: AuthFailureThrottle::new(CONCURRENT_AUTH_FAILURES, delay),
            unauthenticated_bodies: UnauthenticatedBodies::new(),
            state,
            settings,
            runtime,
        }
    }

    /// Receives the reports of a request; an error says why they were not received.
    async fn receive(
        &self,
        request: &HttpRequest,
        body: &mut RequestBody,
        start: Instant,
    ) -> Result<(Outcome, HttpResponse), WebhookError> {
        let path = path::parse(request.path()).ok_or(WebhookError::NotFound)?;
        let mut integrators = self.state.integrators.iter();
        let integrator = integrators
            .find(|each| each.name().as_str() == path.integrator)
            .ok_or(WebhookError::UnknownIntegrator)?
            .as_ref();
        let endpoint =
            ports::integrator::endpoint(integrator, path.word).ok_or(WebhookError::NotFound)?;
        if !endpoint.methods.contains(&request.method().as_str()) {
            return Err(WebhookError::MethodNotAllowed(endpoint.methods));
        }
        let channel = path::channel(path.channel);
        if [Method::GET, Method::HEAD].contains(request.method()) {
            return self.verify_url(request, integrator, &channel);
        }
        let headers = &HeaderLines(request.headers());
        let authentication = self.state.authenticate.run(integrator, &channel, headers);
        let (caller, read) = match authentication {
            Authentication::AuthenticatedCaller(caller) => {
                transport::mark_authenticated(request);
                let read = self.read(request, endpoint, body, start, true).await?;
                (caller, read)
            }
            Authentication::SignedBody(caller) => {
                let authenticate = &self.state.authenticate;
                let (head, max) = (request.headers(), endpoint.body_max);
                let is_kept = authenticate.may_be_verified(&caller);
                let permit = self
                    .unauthenticated_bodies
                    .admit(head, max, &channel, is_kept)?;
                let is_kept = is_kept || permit.is_none();
                let read = self.read(request, endpoint, body, start, is_kept).await?;
                let verified = authenticate.verify_body(integrator, caller, headers, &read);
                let caller = authenticated(verified, integrator)?;
                transport::mark_authenticated(request);
                (caller, read)
            }
            failure => return Err(unauthenticated(&failure, integrator)),
        };
        let report = ReportRequest {
            integrator,
            endpoint,
            caller,
            headers,
            query: request.uri().query(),
            body: &read,
        };
        let received = self.runtime.run(self.state.receive.run(report)).await;
        received.map_err(WebhookError::Receive)?;
        // Cannot fail: the status is a constant of the adapter.
        let status = StatusCode::from_u16(endpoint.answers.success);
        let status = status.unwrap_or(StatusCode::NO_CONTENT);
        Ok((Outcome::Accepted, HttpResponse::new(status)))
    }

    /// Reads the body of a request, if it has the media type and size that the endpoint takes. One
    /// that is not kept is replaced by as many zeros: verifying them takes the same time.
    async fn read(
        &self,
        request: &HttpRequest,
        endpoint: &Endpoint,
        body: &mut RequestBody,
        start: Instant,
        is_kept: bool,
    ) -> Result<Bytes, WebhookError> {
        check_media_type(request.headers(), endpoint.media_types)?;
        body.allow(endpoint.body_max);
        transport::allow_body(request, endpoint.body_max);
        let deadline = start + self.settings.request_timeout;
        let read = if is_kept {
            body.read(request.headers(), deadline).await
        } else {
            let length = body.skip(request.headers(), deadline).await;
            length.map(|length| vec![0; length].into())
        };
        let read = read.map_err(WebhookError::Body)?;
        if body.is_complete() {
            transport::body_complete(request);
        }
        Ok(read)
    }

    /// Answers a request with which the integrator verifies the callback URL.
    fn verify_url(
        &self,
        request: &HttpRequest,
        integrator: &dyn Integrator,
        channel: &str,
    ) -> Result<(Outcome, HttpResponse), WebhookError> {
        let query = request.uri().query().unwrap_or_default();
        let verified = self
            .state
            .authenticate
            .verify_url(integrator, channel, query);
        let answer =
            verified.ok_or_else(|| unauthenticated(&Authentication::Denied, integrator))?;
        let response = HttpResponse::Ok()
            .content_type("text/plain; charset=utf-8")
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .body(answer);
        Ok((Outcome::UrlVerified, response))
    }
}

fn authenticated(
    authentication: Authentication,
    integrator: &dyn Integrator,
) -> Result<AuthenticatedCaller, WebhookError> {
    match authentication {
        Authentication::AuthenticatedCaller(caller) => Ok(caller),
        failure => Err(unauthenticated(&failure, integrator)),
    }
}

fn unauthenticated(failure: &Authentication, integrator: &dyn Integrator) -> WebhookError {
    WebhookError::Unauthenticated {
        challenge: HeaderValue::from_static(integrator.challenge()),
        denied: !matches!(failure, Authentication::Challenge),
    }
}

/// Answers every request of the public listener.
pub(crate) async fn receive(
    request: HttpRequest,
    payload: Payload,
    webhook: Data<Webhook>,
) -> HttpResponse {
    let start = Instant::now();
    let connections = &webhook.state.metrics.connections;
    let mut body = RequestBody::new(payload.into_inner(), request.headers(), REPORT_BODY_MAX);
    let span = request_log::span(&request);
    let received = webhook.receive(&request, &mut body, start).instrument(span);
    let received = received.await;
    // Where connections are scarce, none is kept open for a further request.
    let is_broken = matches!(received, Err(WebhookError::Body(_)));
    if !body.is_complete() && !is_broken && !connections.are_scarce() {
        let timeout = webhook.settings.drain_timeout;
        body.drain(request.headers(), timeout).await;
    }
    let (outcome, response) = received.unwrap_or_else(|error| (error.outcome(), error.response()));
    if body.is_complete() {
        transport::body_complete(&request);
    }
    if outcome == Outcome::Refused {
        webhook.auth_failures.wait().await;
    }
    let mut response = body.answer(response);
    // A challenged client repeats its request on this connection; a new one would be refused.
    let draining = connections.are_draining() && outcome != Outcome::Challenge;
    let evicted = connections.are_scarce() && !transport::is_authenticated(&request);
    if draining || evicted || connections.are_exhausted() {
        response = closing(response);
    }
    let took = start.elapsed();
    webhook.state.metrics.answered(outcome, took);
    request_log::webhook(&request, response.status(), outcome, took);
    response
}

/// The media type that stands for all of JSON.
const JSON: &str = "application/json";

/// Compares the media type without parameters and case, and refuses compressed bodies.
fn check_media_type(
    headers: &HeaderMap,
    expected: &'static [&'static str],
) -> Result<(), WebhookError> {
    let encodings = headers.get_all(header::CONTENT_ENCODING);
    for encoding in encodings.map(HeaderValue::as_bytes) {
        let encoding = encoding.trim_ascii();
        if !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"identity") {
            return Err(WebhookError::UnsupportedEncoding);
        }
    }
    let media_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let essence = media_type.and_then(|value| value.split(|byte| *byte == b';').next());
    let essence = essence.map(|it| it.trim_ascii().to_ascii_lowercase());
    let is_expected = |essence: &[u8]| {
        let is_json = essence.ends_with(b"/json") || essence.ends_with(b"+json");
        let mut expected = expected.iter();
        expected.any(|it| it.as_bytes() == essence || *it == JSON && is_json)
    };
    if essence.as_deref().is_some_and(is_expected) {
        Ok(())
    } else {
        Err(WebhookError::UnsupportedMediaType(expected))
    }
}

struct HeaderLines<'a>(&'a HeaderMap);

impl Headers for HeaderLines<'_> {
    fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(HeaderValue::as_bytes)
    }

    fn get_only(&self, name: &str) -> Option<&[u8]> {
        let mut lines = self.0.get_all(name);
        let first = lines.next()?;
        lines.next().is_none().then(|| first.as_bytes())
    }
}
