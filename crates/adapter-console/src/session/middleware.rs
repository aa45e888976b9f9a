//! Middleware of all routes: adds security headers, turns errors into pages, and requires a
//! session.

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::ErrorInternalServerError;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::{Bytes, Data};
use actix_web::{Error, HttpMessage as _, HttpRequest, HttpResponse};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tracing::Instrument as _;

use super::{cookie, origin};
use crate::console::Console;
use crate::error::PageError;
use crate::fields::Fields;
use crate::page;
use crate::session::sign_in::peer;
use crate::session::viewer::Viewer;
use crate::visit::Visit;

/// Nothing is loaded from elsewhere, no page is framed, and scripts cannot write HTML.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
];

/// Adds the headers of all answers, and turns errors into pages. Pages contain personal data, so
/// no cache may keep them; assets say otherwise themselves.
pub(crate) async fn frame(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let mut response = next.call(request).await?.map_into_boxed_body();
    let error = response.response().error();
    if let Some(error) = error.and_then(|error| error.as_error::<PageError>()) {
        let page = error.page(response.request());
        response = response.into_response(page);
    }
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        let no_store = HeaderValue::from_static("no-store");
        headers.insert(header::CACHE_CONTROL, no_store);
    }
    Ok(response)
}

/// Passes requests of a session on, after checking that forms come from its own pages. Others are
/// sent to the sign-in page.
pub(crate) async fn require_session(
    console: Data<Console>,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let viewer = match viewer(&console, request.request()).await {
        Ok(Some(viewer)) => viewer,
        Ok(None) if request.method().is_safe() => {
            let response = to_sign_in(request.request());
            return Ok(request.into_response(response));
        }
        Ok(None) => return Ok(request.error_response(PageError::SignedOut)),
        Err(error) => return Ok(request.error_response(error)),
    };
    if !request.method().is_safe() {
        let body = request.extract::<Bytes>().await.unwrap_or_default();
        let fields = Fields::parse(&body);
        let is_own = origin::is_own(request.headers(), &console.state.url);
        if !is_own || !viewer.session.csrf_token.is(fields.text("csrf")) {
            return Ok(request.error_response(PageError::ForgedForm));
        }
        request.set_payload(Payload::from(body));
    }
    let visit = Visit::new(
        request.request(),
        viewer,
        &console.state.time_zone,
        console.now(),
    );
    request.extensions_mut().insert(visit);
    if request.method().is_safe() {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    // Goes on if the browser disconnects, so that no change is made without its audit entry.
    let changing = async move {
        next.call(request)
            .await
            .map(ServiceResponse::map_into_boxed_body)
    };
    let ended = actix_web::rt::spawn(changing.in_current_span()).await;
    ended.map_err(ErrorInternalServerError)?
}

/// Returns who is signed in with the cookie of a request.
pub(crate) async fn viewer(
    console: &Console,
    request: &HttpRequest,
) -> Result<Option<Viewer>, PageError> {
    let Some(key) = cookie::key(request.headers(), &console.state.url) else {
        return Ok(None);
    };
    let sessions = &console.state.access.sessions;
    let session = console.run(sessions.authenticate(key)).await?;
    let source = peer(request);
    Ok(session.map(|session| Viewer { session, source }))
}

/// Sends to the sign-in page, and back afterwards.
fn to_sign_in(request: &HttpRequest) -> HttpResponse {
    let target = request.uri().path_and_query();
    let target = target.map_or("/console/", |target| target.as_str());
    let next = utf8_percent_encode(target, NON_ALPHANUMERIC);
    page::redirect(&format!("/console/sign-in?next={next}"))
}
