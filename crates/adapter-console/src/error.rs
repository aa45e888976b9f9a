//! Why a page is not shown, and the page that says so.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, ResponseError};
use askama::Template;
use domain::access::Permission;
use ports::StoreError;
use ports::error::error_chain;
use usecases::channels::allow_sender::AllowSenderError;
use usecases::channels::channel_test::TestError;
use usecases::channels::manage::ManageError;
use usecases::messages::show::ShowError;

use crate::assets::{self, AssetPaths};
use crate::page::{Page, Section};
use crate::visit::{Theme, Visit};

/// Why a page is not shown or a change not made.
#[derive(Debug)]
pub(crate) enum PageError {
    /// There is nothing at the path, or no longer. Says what was looked for.
    NotFound(String),
    /// The operator does not have this permission.
    Forbidden(Permission),
    /// The request has no session.
    SignedOut,
    /// The form is not from a page of this session.
    ForgedForm,
    /// The body of the form could not be read.
    BrokenForm,
    /// The change is not possible; says why.
    Conflict(String),
    /// A value in the URL or form is not valid; says what would be.
    Invalid(String),
    /// The store failed.
    Store(StoreError),
    /// A template could not be rendered.
    Template(askama::Error),
}

impl PageError {
    /// Returns the heading, and what to do.
    fn texts(&self) -> (&'static str, String) {
        match self {
            Self::NotFound(what) => ("Not found", format!("There is no {what}.")),
            Self::Forbidden(permission) => (
                "Not allowed",
                format!(
                    "This requires {}. Ask an administrator for such a token.",
                    permission.requirement()
                ),
            ),
            Self::SignedOut => (
                "Signed out",
                "Your session has ended. Sign in again.".to_owned(),
            ),
            Self::ForgedForm => (
                "Form refused",
                "This form is not from a page of your session, so nothing was changed. Load the \
                 page again and repeat the change. If this happens each time, open the console at \
                 the address in RECEIPTD_CONSOLE_URL."
                    .to_owned(),
            ),
            Self::BrokenForm => (
                "Form refused",
                "The form could not be read, so nothing was changed. Go back and try again."
                    .to_owned(),
            ),
            Self::Conflict(why) => ("Not changed", sentence(why)),
            Self::Invalid(expected) => ("Not understood", sentence(expected)),
            Self::Store(StoreError::Corrupt { .. }) => (
                "Stored data is corrupt",
                "The server log says which row cannot be read.".to_owned(),
            ),
            Self::Store(_) => (
                "Loading failed",
                "The database is unavailable, overloaded or too slow. Reports are still received. \
                 Try again in a moment."
                    .to_owned(),
            ),
            Self::Template(_) => (
                "The page could not be made",
                "This is a mistake of the program; the server log has the details.".to_owned(),
            ),
        }
    }

    /// Returns the page that says what happened: with the navigation if the request has a session,
    /// otherwise alone, with the theme of the request.
    pub(crate) fn page(&self, request: &HttpRequest) -> HttpResponse {
        let (title, text) = self.texts();
        let visit = request.extensions().get::<Visit>().cloned();
        // Rendering writes into memory and has no values that can fail.
        let html = match visit {
            Some(visit) => {
                let mut page = visit.page(title, Section::of_path(request.path()));
                page.notice = None;
                if !request.method().is_safe() {
                    // Nothing is at the path of a form.
                    "/console/".clone_into(&mut page.back);
                }
                FramedErrorPage { page, title, text }.render()
            }
            None => ErrorPage {
                title,
                text,
                theme: Theme::of(request.headers()).as_str(),
                assets: assets::paths(),
                signed_out: matches!(self, Self::SignedOut),
            }
            .render(),
        };
        let mut response = HttpResponse::build(self.status_code());
        response.content_type(ContentType::html());
        response.body(html.unwrap_or_else(|_| title.to_owned()))
    }

    fn log(&self) {
        match self {
            Self::Store(error @ StoreError::Corrupt { .. }) => {
                tracing::error!(error = error_chain(error), "a page of the console failed");
            }
            Self::Store(error) => {
                tracing::warn!(error = error_chain(error), "a page of the console failed");
            }
            Self::Template(error) => {
                tracing::error!(%error, "a page of the console cannot be rendered");
            }
            Self::NotFound(_)
            | Self::Forbidden(_)
            | Self::SignedOut
            | Self::ForgedForm
            | Self::BrokenForm
            | Self::Conflict(_)
            | Self::Invalid(_) => {}
        }
    }
}

/// Makes a sentence of a text that begins in lower case and has no full stop.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(characters).chain(['.']).collect()
}

/// The page that says why another one is not shown.
#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    title: &'static str,
    text: String,
    theme: &'static str,
    assets: &'static AssetPaths,
    signed_out: bool,
}

/// The same, with the navigation.
#[derive(Template)]
#[template(path = "error_framed.html")]
struct FramedErrorPage {
    page: Page,
    title: &'static str,
    text: String,
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.texts().1)
    }
}

impl ResponseError for PageError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Forbidden(_) | Self::ForgedForm => StatusCode::FORBIDDEN,
            Self::SignedOut => StatusCode::UNAUTHORIZED,
            Self::BrokenForm | Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Store(StoreError::Corrupt { .. }) | Self::Template(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The middleware of the console replaces this text by [`PageError::page`].
    fn error_response(&self) -> HttpResponse {
        self.log();
        HttpResponse::build(self.status_code())
            .content_type(ContentType::plaintext())
            .body(self.to_string())
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<AllowSenderError> for PageError {
    fn from(error: AllowSenderError) -> Self {
        match error {
            AllowSenderError::NoSuchRejection => Self::NotFound("such rejection".to_owned()),
            AllowSenderError::NoSender => Self::Conflict(error.to_string()),
            AllowSenderError::Manage(error) => error.into(),
            AllowSenderError::Store(error) => Self::Store(error),
        }
    }
}

impl From<TestError> for PageError {
    fn from(error: TestError) -> Self {
        match error {
            TestError::NoSuchChannel(id) => Self::NotFound(format!("channel {id}")),
            TestError::Disabled | TestError::Running | TestError::UnreadableToken => {
                Self::Conflict(error.to_string())
            }
            TestError::UnknownIntegrator | TestError::InvalidUrl(_) => {
                Self::Invalid(error.to_string())
            }
            TestError::Store(error) => Self::Store(error),
        }
    }
}

impl From<ShowError> for PageError {
    fn from(error: ShowError) -> Self {
        match error {
            ShowError::NoSuchChannel(id) => Self::NotFound(format!("channel {id}")),
            ShowError::NoSuchMessage(key) => Self::NotFound(format!(
                "message {} on channel {}: nothing was reported of it, or retention removed it",
                key.sid, key.channel
            )),
            ShowError::Store(error) => Self::Store(error),
        }
    }
}

impl From<ManageError> for PageError {
    fn from(error: ManageError) -> Self {
        match error {
            ManageError::NoSuchChannel(id) => Self::NotFound(format!("channel {id}")),
            ManageError::NoSuchCredential(id) => Self::NotFound(format!("credential {id}")),
            ManageError::ChannelExists(_)
            | ManageError::TooManyCredentials
            | ManageError::Outdated => Self::Conflict(error.to_string()),
            ManageError::RevealRequired => Self::Forbidden(Permission::Reveal),
            ManageError::UnknownIntegrator { .. }
            | ManageError::ExpiryInThePast
            | ManageError::NoSignatures(_)
            | ManageError::SignatureRequired(_)
            | ManageError::NothingToForward(_)
            | ManageError::PrivateForwardUrl(_)
            | ManageError::OtherReportPath(_) => Self::Invalid(error.to_string()),
            ManageError::Store(error) => Self::Store(error),
        }
    }
}
