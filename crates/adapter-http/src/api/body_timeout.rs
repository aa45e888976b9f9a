//! The bodies of requests to the API are read in time, or not at all.

use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, web};

use crate::problem::Problem;
use crate::server::OPERATOR_BODY_MAX;
use crate::transport;
use crate::watch::Watch;
use crate::webhook::body::{Body, BodyError, has_body};

/// Reads the whole body before anything is done with it.
pub(crate) async fn read_in_time(
    watch: web::Data<Watch>,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if !has_body(request.headers()) {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let payload = request.take_payload();
    let mut body = Body::new(payload, request.headers(), OPERATOR_BODY_MAX);
    let deadline = Instant::now() + watch.settings.request_timeout;
    let response = match body.read(request.headers(), deadline).await {
        Ok(bytes) => {
            if body.has_ended() {
                transport::body_complete(request.request());
            }
            request.set_payload(Payload::from(bytes));
            next.call(request).await?.map_into_boxed_body()
        }
        Err(error) => request.into_response(unread(error).response()),
    };
    let (request, response) = response.into_parts();
    Ok(ServiceResponse::new(request, body.answer(response)))
}

fn unread(error: BodyError) -> Problem {
    match error {
        BodyError::TooLarge => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("a body has at most {OPERATOR_BODY_MAX} bytes"),
        ),
        BodyError::TooSlow => Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "timeout",
            "the body did not arrive in time",
        ),
        BodyError::Broken => Problem::new(
            StatusCode::BAD_REQUEST,
            "broken_body",
            "the body cannot be read",
        ),
    }
}
