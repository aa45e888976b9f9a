//! The database URL and its engine.

use std::fmt;
use std::path::Path;

use anyhow::{Result, bail, ensure};

/// A database URL whose engine is known.
#[derive(Clone)]
pub enum DatabaseUrl {
    /// A file: `sqlite:PATH`.
    Sqlite(String),
    /// A server: `postgres://…`.
    Postgres(String),
}

impl DatabaseUrl {
    /// Parses `RECEIPTD_DATABASE_URL`.
    pub fn parse(text: &str) -> Result<Self> {
        match text.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Ok(Self::Sqlite(text.to_owned())),
            Some("postgres" | "postgresql") => {
                ensure!(
                    !has_bare_password(text),
                    "RECEIPTD_DATABASE_URL: write / as %2F, @ as %40, ? as %3F and # as %23 in the \
                     password"
                );
                if let Some(name) = unknown_parameter(text) {
                    bail!(
                        "RECEIPTD_DATABASE_URL: the parameter {name:?} is unknown; valid are {}",
                        PARAMETERS.join(", ")
                    );
                }
                Ok(Self::Postgres(text.to_owned()))
            }
            // The value may contain a password, so the error does not repeat it.
            _ => bail!("RECEIPTD_DATABASE_URL must start with sqlite: or postgres://"),
        }
    }

    /// Returns the default SQLite database in a data folder.
    pub fn in_data_dir(data_dir: &Path) -> Self {
        Self::Sqlite(format!("sqlite:{}", data_dir.join("receiptd.db").display()))
    }
}

/// The parameters that sqlx reads, in their usual spelling. sqlx ignores all others: with a
/// misspelt `sslmode` it would connect without TLS.
const PARAMETERS: [&str; 13] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "statement-cache-capacity",
];

/// Other spellings that sqlx accepts.
const ALIASES: [&str; 5] = ["ssl-mode", "ssl-root-cert", "ssl-ca", "ssl-cert", "ssl-key"];

/// Returns the first parameter that sqlx would ignore.
fn unknown_parameter(url: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    let query = query.split('#').next().unwrap_or_default();
    let parameters: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap_or_default();
    let is_known = |name: &str| {
        let is_option = name.starts_with("options[") && name.ends_with(']');
        is_option || PARAMETERS.contains(&name) || ALIASES.contains(&name)
    };
    let mut names = parameters.into_iter().map(|(name, _)| name);
    names.find(|name| !is_known(name))
}

/// Returns whether part of the password would be parsed as host or database, and so be shown.
fn has_bare_password(url: &str) -> bool {
    let (_, rest) = url.split_once("://").unwrap_or_default();
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let path = path.split('?').next().unwrap_or_default();
    let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
    let is_cut_off = !authority.contains('@') && !port.bytes().all(|byte| byte.is_ascii_digit());
    path.contains('@') || (is_cut_off && !authority.ends_with(']'))
}

/// Shows the URL without user, password and parameters.
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
        // Parameters may contain a password too.
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
    fn password_in_the_url_is_not_shown() {
        let url = DatabaseUrl::parse("postgres://me:p@ss@db:5432/receipts?password=x").unwrap();
        assert_eq!(url.to_string(), "postgres://db:5432/receipts");
    }

    #[test]
    fn unescaped_password_is_refused_without_showing_it() {
        for url in [
            "postgres://me:p@ss/hidden@db/receipts",
            "postgres://me:ss/hidden@db/x",
            "postgres://me:a#b@db/x",
            "postgres://me:a?b@db/x",
        ] {
            let error = DatabaseUrl::parse(url).unwrap_err().to_string();
            assert!(
                error.contains("%2F") && !error.contains("hidden"),
                "{error}"
            );
        }
        DatabaseUrl::parse("postgres://db/receipts?user=me@home").unwrap();
        DatabaseUrl::parse("postgres://me:a%2Fb@db:5432/receipts?sslmode=require").unwrap();
    }

    #[test]
    fn unknown_parameter_is_refused_by_name() {
        for (parameters, unknown) in [
            ("sslmod=verify-full", "sslmod"),
            ("sslmode=require&pasword=hidden", "pasword"),
            ("options[jit=off", "options[jit"),
            ("SSLMODE=require", "SSLMODE"),
        ] {
            let url = format!("postgres://me@db/receipts?{parameters}");
            let error = DatabaseUrl::parse(&url).unwrap_err().to_string();
            assert!(error.contains(&format!("{unknown:?}")), "{error}");
            assert!(!error.contains("hidden"), "{error}");
        }
        let all = PARAMETERS.iter().chain(&ALIASES);
        let all: Vec<_> = all.map(|name| format!("{name}=1")).collect();
        let url = format!("postgres://db/receipts?{}&options[jit]=off", all.join("&"));
        DatabaseUrl::parse(&url).unwrap();
    }

    #[test]
    fn other_engine_is_refused_with_what_would_be_valid() {
        let error = DatabaseUrl::parse("mysql://root:secret@x/y")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("postgres://") && !error.contains("secret"),
            "{error}"
        );
    }
}
