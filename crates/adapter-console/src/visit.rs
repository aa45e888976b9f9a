//! A request of a signed-in operator, with the preferred theme and time zone.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::HeaderMap;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use domain::Timestamp;
use domain::access::Permission;

use crate::cookies;
use crate::error::PageError;
use crate::fields::Fields;
use crate::notice;
use crate::page::{Choice, Page, Section};
use crate::session::viewer::Viewer;
use crate::time::Times;

/// The cookie with the theme.
pub(crate) const THEME_COOKIE: &str = "receiptd-theme";

/// The cookie that chooses UTC instead of the configured zone.
pub(crate) const ZONE_COOKIE: &str = "receiptd-zone";

/// Which colours a page has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    /// As the system is set.
    Auto,
    Light,
    Dark,
}

impl Theme {
    /// All themes.
    pub(crate) const ALL: [Self; 3] = [Self::Auto, Self::Light, Self::Dark];

    /// Returns the name in cookies and pages.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// Returns the word for people.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Auto => "System",
            Self::Light => "Light",
            Self::Dark => "Dark",
        }
    }

    /// Parses a name.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.as_str() == word)
    }

    /// Returns the theme that the cookies of a request choose.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let chosen = cookies::get(headers, THEME_COOKIE).and_then(Self::from_word);
        chosen.unwrap_or(Self::Auto)
    }
}

/// A request of a signed-in operator.
#[derive(Clone)]
pub(crate) struct Visit {
    /// Who it is.
    pub(crate) viewer: Viewer,
    /// Formats times in the zone that the viewer chose.
    pub(crate) times: Times,
    /// The query.
    pub(crate) query: Fields,
    theme: Theme,
    other_zone: (String, String),
    back: String,
}

impl Visit {
    /// Reads a request. `zone` is the configured one.
    pub(crate) fn new(request: &HttpRequest, viewer: Viewer, zone: &str, now: Timestamp) -> Self {
        let headers = request.headers();
        let utc = cookies::get(headers, ZONE_COOKIE) == Some("utc");
        let other = if utc { (zone, zone) } else { ("utc", "UTC") };
        let query = Fields::parse(request.query_string().as_bytes());
        let kept = query.with(notice::PARAMETER, None).query();
        Self {
            viewer,
            times: Times::new(if utc { "UTC" } else { zone }, now),
            theme: Theme::of(headers),
            other_zone: (other.0.to_owned(), other.1.to_owned()),
            back: format!("{}{kept}", request.path()),
            query,
        }
    }

    /// Begins a page.
    pub(crate) fn page(&self, title: impl Into<String>, section: Section) -> Page {
        let (value, word) = self.other_zone.clone();
        let chosen = self.times.zone_name() == word;
        Page {
            theme: self.theme.as_str(),
            notice: self.query.get(notice::PARAMETER).and_then(notice::sentence),
            zone: self.times.zone_name(),
            other_zone: Choice {
                value,
                word,
                chosen,
            },
            back: self.back.clone(),
            ..Page::new(title, section, &self.viewer)
        }
    }

    /// Fails unless the viewer has a permission.
    pub(crate) fn require(&self, permission: Permission) -> Result<(), PageError> {
        if self.viewer.may(permission) {
            Ok(())
        } else {
            Err(PageError::Forbidden(permission))
        }
    }
}

/// Takes the visit that the session middleware noted.
impl FromRequest for Visit {
    type Error = PageError;
    type Future = Ready<Result<Self, PageError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let visit = request.extensions().get::<Self>().cloned();
        ready(visit.ok_or(PageError::SignedOut))
    }
}
