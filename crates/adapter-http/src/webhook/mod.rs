//! The way of a report: path, method, proof, media type, body, use case.
//!
//! The order matters. Who has proved nothing is answered from the head of the
//! request alone; its body is dropped unseen. Half of all good requests are
//! such ones, since Twilio shows its credentials only when asked.

pub mod body;
pub(crate) mod error;
pub mod path;

use std::time::Instant;

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use ports::Headers;
use usecases::Authentication;
use usecases::ingest::receive::ReportRequest;

use crate::guessing::AuthFailureThrottle;
use crate::metrics::Outcome;
use crate::server::{ListenerSettings, RuntimeHandle};
use crate::{PublicState, request_log, transport};
use body::{BODY_MAX, Body};
use error::Refusal;

/// What the webhook needs, made ready for requests.
pub struct Webhook {
    state: PublicState,
    settings: ListenerSettings,
    guessing: AuthFailureThrottle,
    home: RuntimeHandle,
}

/// How many wrong passwords are answered at a time; with the default delay 320 a second.
const GUESSES_AT_A_TIME: usize = 64;

impl Webhook {
    pub(crate) const fn new(
        state: PublicState,
        settings: ListenerSettings,
        home: RuntimeHandle,
    ) -> Self {
        Self {
            guessing: AuthFailureThrottle::new(GUESSES_AT_A_TIME, settings.refusal_delay),
            state,
            settings,
            home,
        }
    }

    async fn take(
        &self,
        request: &HttpRequest,
        body: &mut Body,
        began: Instant,
    ) -> Result<(), Refusal> {
        let path = path::parse(request.path()).ok_or(Refusal::NotFound)?;
        let integrator = self
            .state
            .integrators
            .iter()
            .find(|each| each.name().as_str() == path.integrator)
            .ok_or(Refusal::UnknownIntegrator)?
            .as_ref();
        if path.word != integrator.path_word() {
            return Err(Refusal::NotFound);
        }
        if request.method() != Method::POST {
            return Err(Refusal::MethodNotAllowed);
        }
        let headers = &HeaderLines(request.headers());
        let channel = path::channel(path.channel);
        let caller = match self.state.admit.run(integrator, &channel, headers) {
            Authentication::AuthenticatedCaller(caller) => caller,
            admission @ (Authentication::Challenge | Authentication::Denied) => {
                return Err(Refusal::Unproven {
                    challenge: HeaderValue::from_static(integrator.challenge()),
                    tried: matches!(admission, Authentication::Denied),
                });
            }
        };
        transport::authenticate(request);
        check_media_type(request.headers(), integrator.media_type())?;
        let deadline = began + self.settings.request_timeout;
        let read = body.read(request.headers(), deadline).await;
        let read = read.map_err(Refusal::Unread)?;
        if body.has_ended() {
            transport::body_complete(request);
        }
        let query = Some(request.query_string()).filter(|_| request.uri().query().is_some());
        let report = ReportRequest {
            integrator,
            caller,
            headers,
            query,
            body: &read,
        };
        let taken = self.home.run(self.state.receive.run(report)).await;
        taken.map_err(Refusal::NotTaken)
    }
}

/// Answers every request of the public listener.
pub(crate) async fn receive(
    request: HttpRequest,
    payload: web::Payload,
    webhook: web::Data<Webhook>,
) -> HttpResponse {
    let began = Instant::now();
    let connections = &webhook.state.metrics.connections;
    let mut body = Body::new(payload.into_inner(), request.headers(), BODY_MAX);
    let (outcome, response) = match webhook.take(&request, &mut body, began).await {
        Ok(()) => (Outcome::Accepted, HttpResponse::NoContent().finish()),
        Err(refusal) => {
            // Where connections are scarce, none is held for the sake of the next request.
            if !matches!(refusal, Refusal::Unread(_)) && !connections.are_scarce() {
                body.drain(request.headers(), webhook.settings.drain_timeout)
                    .await;
            }
            (refusal.outcome(), refusal.response())
        }
    };
    if body.has_ended() {
        transport::body_complete(&request);
    }
    if outcome == Outcome::Refused {
        webhook.guessing.wait().await;
    }
    let mut response = body.answer(response);
    // Who is asked for credentials comes again, and nobody else would take the report.
    let leaving = connections.are_leaving() && outcome != Outcome::Challenge;
    let unwanted = connections.are_scarce() && !transport::is_proven(&request);
    if leaving || unwanted || connections.are_used_up() {
        response = body::closing(response);
    }
    let took = began.elapsed();
    webhook.state.metrics.answered(outcome, took);
    request_log::webhook(&request, response.status(), outcome, took);
    response
}

/// Parameters and case do not matter; what is compressed is not read.
fn check_media_type(headers: &HeaderMap, expected: &'static str) -> Result<(), Refusal> {
    let encodings = headers.get_all(header::CONTENT_ENCODING);
    for encoding in encodings.map(HeaderValue::as_bytes) {
        let encoding = encoding.trim_ascii();
        if !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"identity") {
            return Err(Refusal::UnsupportedEncoding);
        }
    }
    let media_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let essence = media_type.and_then(|value| value.split(|byte| *byte == b';').next());
    if essence.is_some_and(|it| it.trim_ascii().eq_ignore_ascii_case(expected.as_bytes())) {
        Ok(())
    } else {
        Err(Refusal::UnsupportedMediaType(expected))
    }
}

/// The header lines of a request.
struct HeaderLines<'a>(&'a HeaderMap);

impl Headers for HeaderLines<'_> {
    fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(HeaderValue::as_bytes)
    }
}
