//! Which engine keeps the reports, and where.

use std::fmt;
use std::path::Path;

use anyhow::{Result, bail, ensure};

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
            Some("postgres" | "postgresql") => {
                ensure!(
                    !has_bare_password(text),
                    "RECEIPTD_DATABASE_URL: in a password / is written %2F, @ %40, ? %3F and # %23"
                );
                if let Some(name) = unknown_parameter(text) {
                    bail!(
                        "RECEIPTD_DATABASE_URL: the parameter {name:?} is unknown; known are {}",
                        PARAMETERS.join(", ")
                    );
                }
                Ok(Self::Postgres(text.to_owned()))
            }
            // The value may hold a password, so it is not repeated.
            _ => bail!("RECEIPTD_DATABASE_URL starts with sqlite: or postgres://"),
        }
    }

    /// The embedded default in a data folder.
    pub fn embedded_in(data_dir: &Path) -> Self {
        Self::Sqlite(format!("sqlite:{}", data_dir.join("receiptd.db").display()))
    }
}

/// The parameters that sqlx reads, in their usual spelling. It ignores all others, so that a
/// misspelt `sslmode` would connect without TLS.
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

/// Other spellings that sqlx takes.
const ALIASES: [&str; 5] = ["ssl-mode", "ssl-root-cert", "ssl-ca", "ssl-cert", "ssl-key"];

/// The first parameter that would be ignored.
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

/// Whether a part of the password would be taken for the host or the database, and shown.
fn has_bare_password(url: &str) -> bool {
    let (_, rest) = url.split_once("://").unwrap_or_default();
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, behind) = rest.split_at(end);
    let path = behind.split('?').next().unwrap_or_default();
    let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
    let is_cut_off = !authority.contains('@') && !port.bytes().all(|byte| byte.is_ascii_digit());
    path.contains('@') || (is_cut_off && !authority.ends_with(']'))
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
    fn a_slash_in_the_password_is_refused_without_showing_any_of_it() {
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
    fn a_parameter_that_would_be_ignored_is_refused_by_name() {
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
