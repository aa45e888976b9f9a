//! Building blocks of routes.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, Resource, Route, guard, web};

use crate::problem::{self, Problem};

/// A route for GET and for HEAD, whose answers are sent without their body.
pub(crate) fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// Returns a resource that answers 405 to methods it has no route for.
pub(crate) fn resource(path: &str, methods: &'static str) -> Resource {
    web::resource(path).default_service(web::to(move || async move { not_allowed(methods) }))
}

fn not_allowed(methods: &'static str) -> HttpResponse {
    let detail = format!("this path supports {methods}");
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let mut response = Problem::new(status, "method_not_allowed", detail).response();
    let methods = HeaderValue::from_static(methods);
    response.headers_mut().insert(header::ALLOW, methods);
    response
}

/// Answers 404.
pub(crate) async fn not_found() -> HttpResponse {
    problem::not_found().response()
}
