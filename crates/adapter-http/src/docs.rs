//! The documentation page of the API: Swagger UI.

use std::borrow::Cow;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::DefaultHeaders;
use actix_web::web::{self, Bytes, ServiceConfig};
use actix_web::{HttpResponse, HttpResponseBuilder};
use utoipa_swagger_ui::Config;

use crate::resource::{get, resource};

/// Bytes of a page that are copied at a time, so that a client that does not read holds no more.
const CHUNK_BYTES: usize = 16_384;

/// Swagger UI sets styles from scripts and has images in its style sheet; it loads nothing from
/// other servers and must not be framed.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; \
                      style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; font-src 'self'; connect-src 'self'; \
                      form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// Adds the routes of the page and its files.
pub(crate) fn routes(routes: &mut ServiceConfig) {
    let headers = DefaultHeaders::new()
        .add((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .add((header::X_FRAME_OPTIONS, "DENY"))
        .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .add((header::REFERRER_POLICY, "no-referrer"));
    routes
        .app_data(web::Data::new(Config::from("/openapi.json")))
        .service(web::redirect("/docs", "/docs/"))
        .service(
            resource("/docs/{file:.*}", "GET, HEAD")
                .wrap(headers)
                .route(get().to(file)),
        );
}

async fn file(config: web::Data<Config<'static>>, file: web::Path<String>) -> HttpResponse {
    let Ok(Some(found)) = utoipa_swagger_ui::serve(&file, config.into_inner()) else {
        return crate::problem::not_found().response();
    };
    let mut response = HttpResponse::Ok();
    if found.gzpipped {
        let gzip = HeaderValue::from_static("gzip");
        response.insert_header((header::CONTENT_ENCODING, gzip));
    }
    let bytes = match found.bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes.into(),
    };
    shared_body(response.content_type(found.content_type), bytes)
}

/// Answers with `bytes`, which are not copied as a whole.
pub(crate) fn shared_body(response: &mut HttpResponseBuilder, bytes: Bytes) -> HttpResponse {
    response.body(BoxBody::new(SharedBody(bytes)))
}

/// A body that is handed to the server chunk by chunk.
struct SharedBody(Bytes);

impl MessageBody for SharedBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        // Lossless: usize has at most 64 bits.
        BodySize::Sized(u64::try_from(self.0.len()).unwrap_or(u64::MAX))
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        let length = self.0.len().min(CHUNK_BYTES);
        let chunk = self.0.split_to(length);
        Poll::Ready((!chunk.is_empty()).then_some(Ok(chunk)))
    }
}
