//! Saved views: names for pages of the console with their filters.

use std::fmt;

use uuid::Uuid;

use crate::Timestamp;

/// How many views there may be: they are shown as one list.
pub const SAVED_VIEWS_MAX: usize = 100;

/// The longest path, in bytes.
const PATH_MAX: usize = 1_000;

/// The id of a saved view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SavedViewId(pub Uuid);

impl fmt::Display for SavedViewId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a saved view.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SavedViewName(String);

/// The text is not a name of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name of a view is 1 to 60 characters without control characters")]
pub struct InvalidSavedViewName;

impl SavedViewName {
    /// Parses a name.
    pub fn parse(text: &str) -> Result<Self, InvalidSavedViewName> {
        if crate::text::is_plain_line(text, 60) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidSavedViewName)
        }
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SavedViewName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The path and the query of a page of the console. It names no host, so a link to it never leads
/// to another site.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConsolePath(String);

/// The text is not the path of a page of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a view is a page of the console: a path that begins with /console/ and has at most 1000 characters"
)]
pub struct InvalidConsolePath;

impl ConsolePath {
    /// Parses a path with its query.
    pub fn parse(text: &str) -> Result<Self, InvalidConsolePath> {
        let path = text.split('?').next().unwrap_or_default();
        let is_plain = crate::text::is_ascii_token(text, PATH_MAX)
            && !text.contains(['\\', '#'])
            && !path.contains("//")
            && !path.split('/').any(|part| matches!(part, "." | ".."));
        if is_plain && path.starts_with("/console/") {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidConsolePath)
        }
    }

    /// Returns path and query.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A name for a page of the console, for all operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedView {
    /// Its id.
    pub id: SavedViewId,
    /// Its name, which no other view has.
    pub name: SavedViewName,
    /// The page.
    pub path: ConsolePath,
    /// When it was saved.
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn view_is_a_page_of_the_console() {
        for good in ["/console/", "/console/messages?status=failed&code=63016"] {
            assert_eq!(ConsolePath::parse(good).map(|it| it.0).as_deref(), Ok(good));
        }
        for foreign in [
            "",
            "https://example.com/console/",
            "//example.com/console/",
            "/\\example.com",
            "/console\\@example.com",
            "/console//example.com",
            "/console/../docs/",
            "/console/./",
            "/console/ ",
            "/console/\r\nSet-Cookie: a=b",
            "/console/#top",
            "/docs/",
            "javascript:alert(1)",
        ] {
            assert_eq!(
                ConsolePath::parse(foreign),
                Err(InvalidConsolePath),
                "{foreign:?}"
            );
        }
        let long = format!("/console/{}", "a".repeat(PATH_MAX));
        assert_eq!(ConsolePath::parse(&long), Err(InvalidConsolePath));
    }
}
