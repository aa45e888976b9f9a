//! The server's secrets: configured, or generated once and stored in the data folder with mode
//! 0600.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::Args;
use domain::crypto::ServerSecret;
use ports::Environment;
use rustix::process::geteuid;

use super::database::DatabaseUrl;
use super::storage::StorageOptions;
use crate::system::System;

/// The prefix of the secrets in docker-compose.yml.
const PUBLISHED: &str = "for-development-only";

const SECRET_KEY_FILE: &str = "secret-key";
/// The name of the generated admin token in the data folder.
pub const ADMIN_TOKEN_FILE: &str = "admin-token";

const KEY_REQUIRED: &str = "set RECEIPTD_SECRET_KEY, which all servers on a PostgreSQL database \
    share: at least 32 characters, for instance from `openssl rand -base64 48`";

#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Secrets")]
pub struct SecretOptions {
    /// Secret that hashes credentials and seals tokens, at least 32 characters, the same on all
    /// servers of a database. Default: generated on first start on SQLite; required on PostgreSQL
    #[arg(long, env = "RECEIPTD_SECRET_KEY", hide_env_values = true)]
    pub secret_key: Option<String>,
    /// Bearer token of the operator's API, at least 16 characters. Default: generated on first
    /// start
    #[arg(long, env = "RECEIPTD_ADMIN_TOKEN", hide_env_values = true)]
    pub admin_token: Option<String>,
}

/// The bearer token of the operator's API.
pub struct AdminToken {
    /// The token in plain text.
    pub token: String,
    /// Whether it was generated just now and must be shown.
    pub is_new: bool,
}

/// The secrets that exist, as [`SecretOptions::inspect`] found them.
pub struct SecretState {
    /// The secret that hashes credentials, if it exists already.
    pub server_secret: Option<ServerSecret>,
    /// Secrets and a data folder that other users can read or change.
    pub warnings: Vec<String>,
}

impl SecretOptions {
    /// Returns the secret that hashes credentials; on SQLite it is generated on first use.
    pub fn server_secret(&self, storage: &StorageOptions) -> Result<ServerSecret> {
        let text = match (&self.secret_key, storage.database()?) {
            (Some(text), _) => text.clone(),
            (None, DatabaseUrl::Sqlite(_)) => {
                read_or_generate(&storage.create_data_dir()?.join(SECRET_KEY_FILE))?.0
            }
            (None, DatabaseUrl::Postgres(_)) => bail!("{KEY_REQUIRED}"),
        };
        parse_server_secret(&text)
    }

    /// Returns the token of the operator's API, generated on first use.
    pub fn admin_token(&self, storage: &StorageOptions) -> Result<AdminToken> {
        let (token, is_new) = match &self.admin_token {
            Some(token) => (token.clone(), false),
            None => read_or_generate(&storage.create_data_dir()?.join(ADMIN_TOKEN_FILE))?,
        };
        check_admin_token(&token)?;
        Ok(AdminToken { token, is_new })
    }

    /// Returns the token of the operator's API, configured or stored by a server on this machine.
    pub fn stored_admin_token(&self, storage: &StorageOptions) -> Result<String> {
        if let Some(token) = &self.admin_token {
            return Ok(token.clone());
        }
        let path = storage.data_dir.join(ADMIN_TOKEN_FILE);
        let text = fs::read_to_string(&path).with_context(|| {
            let path = path.display();
            format!("set RECEIPTD_ADMIN_TOKEN to the operator's token: {path} cannot be read")
        })?;
        Ok(text.trim().to_owned())
    }

    /// Checks the secrets that exist and generates none.
    pub fn inspect(&self, storage: &StorageOptions) -> Result<SecretState> {
        let folder = &storage.data_dir;
        let on_server = matches!(storage.database()?, DatabaseUrl::Postgres(_));
        ensure!(!on_server || self.secret_key.is_some(), KEY_REQUIRED);
        let mut warnings = inspect_data_dir(folder)?;
        let mut find = |configured: &Option<String>, variable: &str, file: &str| {
            if let Some(text) = configured {
                if text.starts_with(PUBLISHED) {
                    warnings.push(format!(
                        "{variable} is the published value from docker-compose.yml; set your own"
                    ));
                }
                return Ok(Some(text.clone()));
            }
            let path = folder.join(file);
            warnings.extend(inspect_file(&path)?);
            if_exists(fs::read_to_string(&path), &path)
        };
        let key = find(&self.secret_key, "RECEIPTD_SECRET_KEY", SECRET_KEY_FILE)?;
        let token = find(&self.admin_token, "RECEIPTD_ADMIN_TOKEN", ADMIN_TOKEN_FILE)?;
        if let Some(token) = token {
            check_admin_token(token.trim())?;
        }
        let server_secret = key.map(|key| parse_server_secret(key.trim())).transpose()?;
        Ok(SecretState {
            server_secret,
            warnings,
        })
    }
}

fn parse_server_secret(text: &str) -> Result<ServerSecret> {
    ServerSecret::parse(text).context("RECEIPTD_SECRET_KEY is too short")
}

fn check_admin_token(token: &str) -> Result<()> {
    ensure!(
        token.len() >= 16 && token.bytes().all(|byte| byte.is_ascii_graphic()),
        "RECEIPTD_ADMIN_TOKEN must be at least 16 printable ASCII characters without spaces"
    );
    Ok(())
}

/// Returns warnings about the data folder, none if it does not exist.
fn inspect_data_dir(folder: &Path) -> Result<Vec<String>> {
    let Some(metadata) = if_exists(fs::metadata(folder), folder)? else {
        return Ok(Vec::new());
    };
    let shown = folder.display();
    ensure!(
        metadata.is_dir(),
        "RECEIPTD_DATA_DIR {shown} is not a folder"
    );
    let mut warnings = Vec::new();
    if metadata.mode() & 0o022 != 0 {
        warnings.push(format!(
            "other users can write to the data folder {shown}; run chmod go-w {shown}"
        ));
    }
    warnings.extend(foreign_owner(folder, &metadata));
    Ok(warnings)
}

/// Returns warnings about the file of a secret, none if it does not exist.
fn inspect_file(path: &Path) -> Result<Vec<String>> {
    let Some(link) = if_exists(fs::symlink_metadata(path), path)? else {
        return Ok(Vec::new());
    };
    let mut warnings = Vec::new();
    if link.is_symlink() {
        warnings.push(format!(
            "the secret {} is a symbolic link; replace it by a file",
            path.display()
        ));
    }
    let file = fs::metadata(path).with_context(|| unusable(path))?;
    if file.mode() & 0o077 != 0 {
        let path = path.display();
        warnings.push(format!(
            "other users can read the secret {path}; run chmod 600 {path}"
        ));
    }
    warnings.extend(foreign_owner(path, &file));
    Ok(warnings)
}

/// Returns a warning if another user owns the file. Root does not count: it can change every file.
fn foreign_owner(path: &Path, metadata: &fs::Metadata) -> Option<String> {
    let (owner, user) = (metadata.uid(), geteuid().as_raw());
    (owner != user && owner != 0).then(|| {
        format!(
            "{} belongs to user {owner}, who can change it; run chown {user} on it",
            path.display()
        )
    })
}

/// Returns `None` if there is nothing at the path.
fn if_exists<T>(result: std::io::Result<T>, path: &Path) -> Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        result => result.map(Some).with_context(|| unusable(path)),
    }
}

fn unusable(path: &Path) -> String {
    format!("{} cannot be used", path.display())
}

/// Returns the text of a file and `false`, or generates a secret, stores it there and returns it
/// with `true`. If two processes start together, one generates the secret and both use it.
fn read_or_generate(path: &Path) -> Result<(String, bool)> {
    let context = || unusable(path);
    for _ in 0..50 {
        match fs::read_to_string(path) {
            Ok(text) if !text.trim().is_empty() => {
                return Ok((text.trim().to_owned(), false));
            }
            // Another process has created the file but not written it yet.
            Ok(_) => std::thread::sleep(std::time::Duration::from_millis(20)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let text = URL_SAFE_NO_PAD.encode(System.secret_bytes());
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
        "{} is empty; remove it to have a new secret generated",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_is_generated_once_and_readable_by_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret-key");
        let (made, is_new) = read_or_generate(&path).unwrap();
        assert!(is_new && made.len() == 43);
        assert_eq!(read_or_generate(&path).unwrap(), (made, false));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn empty_secret_file_is_an_error_that_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret-key");
        fs::write(&path, "\n").unwrap();
        assert!(
            read_or_generate(&path)
                .unwrap_err()
                .to_string()
                .contains("remove it")
        );
    }

    #[test]
    fn warns_of_secrets_that_other_users_can_read_or_change() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin-token");
        assert_eq!(inspect_file(&path).unwrap(), [""; 0]);
        fs::write(&path, "a token of many letters\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let [warning] = inspect_file(&path).unwrap().try_into().unwrap();
        assert!(warning.contains("chmod 600"), "{warning}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(inspect_file(&path).unwrap(), [""; 0]);
        let link = folder.path().join("secret-key");
        symlink(&path, &link).unwrap();
        let [warning] = inspect_file(&link).unwrap().try_into().unwrap();
        assert!(warning.contains("symbolic link"), "{warning}");
        // Only root can create a file that belongs to another user.
        if geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
            let [warning] = inspect_file(&path).unwrap().try_into().unwrap();
            assert!(warning.contains("belongs to user 12345"), "{warning}");
        }
    }
}
