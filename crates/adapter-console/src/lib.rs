//! The operator console: pages for people, made on the server and complete without JavaScript.
//!
//! A handler unpacks a request, calls use cases and fills a template. The crate knows no store and
//! no other adapter: the operator's listener mounts its routes below `/console` (see
//! [`configure`]) and applies its host check, limits and timeouts to them.
//!
//! Start reading at `routes.rs`. `session/` decides who sees a page, `visit.rs`
//! is a request of a signed-in operator, `page.rs` is the frame of every page, and `plot/`
//! draws. Values from outside are escaped by the templates; the few places that write HTML in code
//! use `html.rs`.

mod assets;
mod console;
mod cookies;
mod csv;
mod error;
mod fields;
mod form;
mod html;
mod notice;
mod number;
mod page;
mod pages;
mod plot;
mod routes;
mod session;
mod status;
mod time;
mod visit;

use actix_web::web::{Data, ServiceConfig};
use domain::access::ConsoleUrl;
use usecases::RuntimeHandle;
use usecases::access::SignInLink;

pub use console::ConsoleState;
pub use pages::about::{Installation, SettingRow};

/// Returns the URL that signs a browser in with a link.
#[must_use]
pub fn sign_in_url(url: &ConsoleUrl, link: &SignInLink) -> String {
    let (origin, secret) = (url.origin(), link.reveal());
    format!("{origin}/console/sign-in?link={}", secret.as_str())
}

/// Returns a function that adds the routes of the console to a scope at `/console`. Use cases run
/// in `runtime`, that of the store.
pub fn configure(
    state: ConsoleState,
    runtime: RuntimeHandle,
) -> impl Fn(&mut ServiceConfig) + Send + Clone + 'static {
    let console = Data::new(console::Console::new(state, runtime));
    move |routes| routes::configure(routes, &console)
}
