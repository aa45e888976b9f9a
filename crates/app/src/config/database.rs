//! Which engine keeps the reports, and where.

use std::fmt;
use std::path::Path;

use anyhow::{Result, bail};

/// A database URL whose engine is known.
#[derive(Clone)]
pub enum DatabaseUrl {
    /// A file, as `sqlite:PATH`.
    Sqlite(String),
    /// A server, as `postgres://…`.
    Postgres(String),
}

impl DatabaseUrl {
    /// Takes `RECEIPTD_DATABASE_URL`.
    pub fn parse(text: &str) -> Result<Self> {
        match text.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Ok(Self::Sqlite(text.to_owned())),
            Some("postgres" | "postgresql") => Ok(Self::Postgres(text.to_owned())),
            // The value may hold a password, so it is not repeated.
            _ => bail!("RECEIPTD_DATABASE_URL starts with sqlite: or postgres://"),
        }
    }

    /// The embedded default in a data folder.
    pub fn embedded_in(data_dir: &Path) -> Self {
        Self::Sqlite(format!("sqlite:{}", data_dir.join("receiptd.db").display()))
    }
}

/// The URL without user and password.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = match self {
            Self::Sqlite(url) => return f.write_str(url),
            Self::Postgres(url) => url,
        };
        let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", ""));
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let host = authority.rsplit('@').next().unwrap_or_default();
        // Parameters may hold a password too.
        let path = path.split('?').next().unwrap_or_default();
        write!(f, "{scheme}://{host}{path}")
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_the_url_does_not_show() {
        let url = DatabaseUrl::parse("postgres://me:p@ss@db:5432/receipts?password=x").unwrap();
        assert_eq!(url.to_string(), "postgres://db:5432/receipts");
    }

    #[test]
    fn other_engines_are_refused_with_what_would_be_right() {
        let error = DatabaseUrl::parse("mysql://root:secret@x/y")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("postgres://") && !error.contains("secret"),
            "{error}"
        );
    }
}
