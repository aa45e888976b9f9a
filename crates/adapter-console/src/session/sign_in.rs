//! The sign-in page, sign-in links, and signing out.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use usecases::access::sessions::{SignInError, SignedIn};

use super::{cookie, middleware, origin};
use crate::assets::{self, AssetPaths};
use crate::console::Console;
use crate::error::PageError;
use crate::fields::{Fields, Form};
use crate::page;
use crate::pages::preferences::local_path;
use crate::visit::{Theme, Visit};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    title: &'static str,
    theme: &'static str,
    assets: &'static AssetPaths,
    problem: Option<String>,
    /// Whether the page is not encrypted.
    plain: bool,
    next: String,
}

#[derive(Template)]
#[template(path = "no_cookie.html")]
struct NoCookiePage {
    title: &'static str,
    theme: &'static str,
    assets: &'static AssetPaths,
    /// Whether the console is configured to be reached over https.
    https: bool,
    url: String,
    /// The address that the browser used, if it is not the configured one.
    used: Option<String>,
}

/// Shows the sign-in page, or uses the sign-in link in the query.
pub(crate) async fn show(
    console: Data<Console>,
    request: HttpRequest,
) -> Result<HttpResponse, PageError> {
    let query = Fields::parse(request.query_string().as_bytes());
    if let Some(link) = query.get("link") {
        let sessions = &console.state.access.sessions;
        let previous = cookie::key(request.headers(), &console.state.url);
        let signed_in = sessions.sign_in_by_link(link, peer(&request), previous);
        let signed_in = console.run(signed_in).await;
        return finish(&console, &request, signed_in, "/console/");
    }
    let next = local_path(query.text("next"));
    if middleware::viewer(&console, &request).await?.is_some() {
        return Ok(page::redirect(next));
    }
    page::show(&sign_in_page(&console, &request, next, None))
}

/// Signs in with a token.
pub(crate) async fn sign_in(
    console: Data<Console>,
    request: HttpRequest,
    form: Form,
) -> Result<HttpResponse, PageError> {
    let next = local_path(form.0.text("next"));
    if !origin::is_own(request.headers(), &console.state.url) {
        return Err(PageError::ForgedForm);
    }
    let token = form.0.get("token").unwrap_or_default();
    let previous = cookie::key(request.headers(), &console.state.url);
    let sessions = &console.state.access.sessions;
    let signed_in = sessions.sign_in(token, peer(&request), previous);
    let signed_in = console.run(signed_in).await;
    finish(&console, &request, signed_in, next)
}

/// Sets the cookie of a new session and checks with the next request whether it comes back.
fn finish(
    console: &Console,
    request: &HttpRequest,
    signed_in: Result<SignedIn, SignInError>,
    next: &str,
) -> Result<HttpResponse, PageError> {
    let (status, problem) = match signed_in {
        Ok(signed_in) => {
            let next = utf8_percent_encode(next, NON_ALPHANUMERIC);
            let mut response = page::redirect(&format!("/console/signed-in?next={next}"));
            if let Some(line) = cookie::begin(&signed_in.key, &console.state.url) {
                response.headers_mut().append(header::SET_COOKIE, line);
            }
            return Ok(response);
        }
        Err(SignInError::Store(error)) => return Err(error.into()),
        Err(error @ SignInError::TooManyAttempts { .. }) => {
            (StatusCode::TOO_MANY_REQUESTS, error.to_string())
        }
        Err(
            error @ (SignInError::InvalidToken
            | SignInError::InvalidLink
            | SignInError::NotLoopback),
        ) => (StatusCode::FORBIDDEN, error.to_string()),
    };
    let template = sign_in_page(console, request, next, Some(problem));
    page::show_as(status, &template)
}

/// Continues after signing in. If the cookie did not come back, says why it may not have.
pub(crate) async fn check(
    console: Data<Console>,
    request: HttpRequest,
) -> Result<HttpResponse, PageError> {
    let query = Fields::parse(request.query_string().as_bytes());
    if middleware::viewer(&console, &request).await?.is_some() {
        return Ok(page::redirect(local_path(query.text("next"))));
    }
    let url = &console.state.url;
    let used = request.connection_info().host().to_owned();
    let configured = url
        .origin()
        .split_once("://")
        .map(|(_, host)| host.to_owned());
    let template = NoCookiePage {
        title: "The browser did not send the session back",
        theme: Theme::of(request.headers()).as_str(),
        assets: assets::paths(),
        https: url.is_https(),
        url: url.origin().to_owned(),
        used: Some(used).filter(|used| configured.as_ref() != Some(used)),
    };
    page::show_as(StatusCode::FORBIDDEN, &template)
}

fn sign_in_page(
    console: &Console,
    request: &HttpRequest,
    next: &str,
    problem: Option<String>,
) -> SignInPage {
    SignInPage {
        title: "Sign in",
        theme: Theme::of(request.headers()).as_str(),
        assets: assets::paths(),
        problem,
        plain: !console.state.url.is_https(),
        next: next.to_owned(),
    }
}

/// Signs out of this session.
pub(crate) async fn sign_out(
    console: Data<Console>,
    visit: Visit,
) -> Result<HttpResponse, PageError> {
    let (session, source) = (&visit.viewer.session, visit.viewer.source);
    let sessions = &console.state.access.sessions;
    console.run(sessions.sign_out(session, source)).await?;
    Ok(signed_out(&console))
}

/// Ends all sessions of the token of this one.
pub(crate) async fn sign_out_everywhere(
    console: Data<Console>,
    visit: Visit,
) -> Result<HttpResponse, PageError> {
    let (session, source) = (&visit.viewer.session, visit.viewer.source);
    let sessions = &console.state.access.sessions;
    let ended = sessions.sign_out_everywhere(session, source);
    console.run(ended).await?;
    Ok(signed_out(&console))
}

fn signed_out(console: &Console) -> HttpResponse {
    let mut response = page::redirect("/console/sign-in");
    if let Some(line) = cookie::end(&console.state.url) {
        response.headers_mut().append(header::SET_COOKIE, line);
    }
    response
}

/// Returns the address that a request came from; one that is not loopback if it is unknown.
pub(crate) fn peer(request: &HttpRequest) -> IpAddr {
    let peer = request.peer_addr();
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip())
}
