//! The secrets of a server: configured, or made once and kept in the data
//! folder with mode 0600.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::secret::ServerSecret;
use ports::Ids;

use super::{DatabaseUrl, Settings};
use crate::system::SystemIds;

/// How the secrets begin that stand in docker-compose.yml.
const PUBLISHED: &str = "for-development-only";

/// What a server keeps to itself.
pub struct Secrets {
    /// Hashes credentials and seals tokens.
    pub server: ServerSecret,
    /// Opens the operator's API.
    pub admin_token: AdminToken,
}

/// The bearer token of the operator's API.
pub struct AdminToken {
    /// The token in the clear.
    pub token: String,
    /// Whether it was made just now, so that it should be shown.
    pub is_new: bool,
}

impl Secrets {
    /// The configured secrets; on SQLite those that are not configured are
    /// made on first use.
    pub fn load(settings: &Settings) -> Result<Self> {
        for (name, given) in [
            ("RECEIPTD_SECRET_KEY", &settings.secret_key),
            ("RECEIPTD_ADMIN_TOKEN", &settings.admin_token),
        ] {
            if given
                .as_ref()
                .is_some_and(|text| text.starts_with(PUBLISHED))
            {
                tracing::warn!("{name} is the one from docker-compose.yml, which everybody knows");
            }
        }
        Ok(Self {
            server: server_secret(settings)?,
            admin_token: admin_token(settings)?,
        })
    }
}

/// `RECEIPTD_SECRET_KEY`, or on SQLite the one kept in the data folder.
pub fn server_secret(settings: &Settings) -> Result<ServerSecret> {
    let text = match (&settings.secret_key, settings.database()?) {
        (Some(text), _) => text.clone(),
        (None, DatabaseUrl::Sqlite(_)) => {
            kept_or_made(&settings.make_data_dir()?.join("secret-key"))?.0
        }
        (None, DatabaseUrl::Postgres(_)) => bail!(
            "RECEIPTD_SECRET_KEY is required on PostgreSQL, where replicas share it: at least 32 \
             characters, for instance from `openssl rand -base64 48`"
        ),
    };
    ServerSecret::parse(&text).context("RECEIPTD_SECRET_KEY is too short")
}

fn admin_token(settings: &Settings) -> Result<AdminToken> {
    let Some(token) = settings.admin_token.clone() else {
        let (token, is_new) = kept_or_made(&settings.make_data_dir()?.join("admin-token"))?;
        return Ok(AdminToken { token, is_new });
    };
    ensure!(
        token.len() >= 16 && token.bytes().all(|byte| byte.is_ascii_graphic()),
        "RECEIPTD_ADMIN_TOKEN is at least 16 printable ASCII characters without spaces"
    );
    Ok(AdminToken {
        token,
        is_new: false,
    })
}

/// The text in a file, or a new random one that is written there. Of two
/// processes that start at once one makes it and both use it.
fn kept_or_made(path: &Path) -> Result<(String, bool)> {
    let context = || format!("{} is not usable", path.display());
    for _ in 0..50 {
        match std::fs::read_to_string(path) {
            Ok(text) if !text.trim().is_empty() => {
                let mode = std::fs::metadata(path)
                    .with_context(context)?
                    .permissions()
                    .mode();
                if mode & 0o077 != 0 {
                    tracing::warn!(path = %path.display(), "others may read this secret; chmod 600 it");
                }
                return Ok((text.trim().to_owned(), false));
            }
            // Another process has made it and not written it yet.
            Ok(_) => std::thread::sleep(std::time::Duration::from_millis(20)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let text = URL_SAFE_NO_PAD.encode(SystemIds.secret_bytes());
                let open = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(path);
                match open {
                    Ok(mut file) => {
                        file.write_all(format!("{text}\n").as_bytes())
                            .with_context(context)?;
                        file.sync_all().with_context(context)?;
                        return Ok((text, true));
                    }
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                    Err(error) => return Err(error).with_context(context),
                }
            }
            Err(error) => return Err(error).with_context(context),
        }
    }
    bail!(
        "{} is empty; remove it, and a new secret is made",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_only_its_owner_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret-key");
        let (made, is_new) = kept_or_made(&path).unwrap();
        assert!(is_new && made.len() == 43);
        assert_eq!(kept_or_made(&path).unwrap(), (made, false));
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn an_empty_secret_file_is_an_error_that_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret-key");
        std::fs::write(&path, "\n").unwrap();
        assert!(
            kept_or_made(&path)
                .unwrap_err()
                .to_string()
                .contains("remove it")
        );
    }
}
