//! Reads the bodies of requests to the API, within a time limit.

use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage as _};

use crate::monitoring::Monitoring;
use crate::problem::Problem;
use crate::request_body::{OPERATOR_BODY_MAX, RequestBody, has_body};
use crate::transport;

/// Reads the whole body before the handler is called.
pub(crate) async fn read_in_time(
    monitoring: Data<Monitoring>,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if !has_body(request.headers()) {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let payload = request.take_payload();
    let mut body = RequestBody::new(payload, request.headers(), OPERATOR_BODY_MAX);
    let deadline = Instant::now() + monitoring.settings.request_timeout;
    let response = match body.read(request.headers(), deadline).await {
        Ok(bytes) => {
            if body.is_complete() {
                transport::body_complete(request.request());
            }
            request.set_payload(Payload::from(bytes));
            next.call(request).await?.map_into_boxed_body()
        }
        Err(error) => request.into_response(Problem::from(error).response()),
    };
    let (request, response) = response.into_parts();
    Ok(ServiceResponse::new(request, body.answer(response)))
}
