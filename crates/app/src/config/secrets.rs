//! The secrets of a server: configured, or made once and kept in the data
//! folder with mode 0600.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::secret::ServerSecret;
use ports::Environment;
use rustix::process::geteuid;

use super::{DatabaseUrl, Settings};
use crate::system::System;

/// How the secrets begin that stand in docker-compose.yml.
const PUBLISHED: &str = "for-development-only";

/// The bearer token of the operator's API.
pub struct AdminToken {
    /// The token in the clear.
    pub token: String,
    /// Whether it was made just now, so that it should be shown.
    pub is_new: bool,
}

/// `RECEIPTD_SECRET_KEY`, or on SQLite the one kept in the data folder, made
/// on first use.
pub fn server_secret(settings: &Settings) -> Result<ServerSecret> {
    let text = match (&settings.secret_key, settings.database()?) {
        (Some(text), _) => text.clone(),
        (None, DatabaseUrl::Sqlite(_)) => {
            kept_or_made(&settings.make_data_dir()?.join(SECRET_KEY_FILE))?.0
        }
        (None, DatabaseUrl::Postgres(_)) => bail!("{KEY_REQUIRED}"),
    };
    parse_server_secret(&text)
}

/// `RECEIPTD_ADMIN_TOKEN`, or the one kept in the data folder, made on first use.
pub fn admin_token(settings: &Settings) -> Result<AdminToken> {
    let (token, is_new) = match &settings.admin_token {
        Some(token) => (token.clone(), false),
        None => kept_or_made(&settings.make_data_dir()?.join(ADMIN_TOKEN_FILE))?,
    };
    check_admin_token(&token)?;
    Ok(AdminToken { token, is_new })
}

const SECRET_KEY_FILE: &str = "secret-key";
const ADMIN_TOKEN_FILE: &str = "admin-token";

const KEY_REQUIRED: &str = "RECEIPTD_SECRET_KEY is required on PostgreSQL, where replicas share \
    it: at least 32 characters, for instance from `openssl rand -base64 48`";

fn parse_server_secret(text: &str) -> Result<ServerSecret> {
    ServerSecret::parse(text).context("RECEIPTD_SECRET_KEY is too short")
}

fn check_admin_token(token: &str) -> Result<()> {
    ensure!(
        token.len() >= 16 && token.bytes().all(|byte| byte.is_ascii_graphic()),
        "RECEIPTD_ADMIN_TOKEN is at least 16 printable ASCII characters without spaces"
    );
    Ok(())
}

/// Checks the secrets that are there and makes none. Returns the server's secret, if it is there
/// already, and warnings: secrets and a data folder that others can read or change.
pub fn inspect(settings: &Settings) -> Result<(Option<ServerSecret>, Vec<String>)> {
    let folder = &settings.data_dir;
    let on_server = matches!(settings.database()?, DatabaseUrl::Postgres(_));
    ensure!(!on_server || settings.secret_key.is_some(), KEY_REQUIRED);
    let mut warnings = Vec::new();
    if let Some(metadata) = there(fs::metadata(folder), folder)? {
        ensure!(
            metadata.is_dir(),
            "RECEIPTD_DATA_DIR {} is no folder",
            folder.display()
        );
        if metadata.mode() & 0o022 != 0 {
            let folder = folder.display();
            warnings.push(format!(
                "others may write to the data folder {folder}; chmod go-w {folder}"
            ));
        }
        warnings.extend(foreign_owner(folder, &metadata));
    }
    let mut found = |given: &Option<String>, name: &str, file: &str| {
        if let Some(text) = given {
            if text.starts_with(PUBLISHED) {
                warnings.push(format!(
                    "{name} is the one from docker-compose.yml, which everybody knows"
                ));
            }
            return Ok(Some(text.clone()));
        }
        let path = folder.join(file);
        warnings.extend(inspect_file(&path)?);
        there(fs::read_to_string(&path), &path)
    };
    let key = found(&settings.secret_key, "RECEIPTD_SECRET_KEY", SECRET_KEY_FILE)?;
    let token = found(
        &settings.admin_token,
        "RECEIPTD_ADMIN_TOKEN",
        ADMIN_TOKEN_FILE,
    )?;
    if let Some(token) = token {
        check_admin_token(token.trim())?;
    }
    let secret = key.map(|key| parse_server_secret(key.trim())).transpose()?;
    Ok((secret, warnings))
}

/// What is wrong with the file of a secret, if there is one.
fn inspect_file(path: &Path) -> Result<Vec<String>> {
    let Some(link) = there(fs::symlink_metadata(path), path)? else {
        return Ok(Vec::new());
    };
    let mut warnings = Vec::new();
    if link.is_symlink() {
        warnings.push(format!(
            "the secret {} is a symbolic link; put a file in its place",
            path.display()
        ));
    }
    let file = fs::metadata(path).with_context(|| unusable(path))?;
    if file.mode() & 0o077 != 0 {
        let path = path.display();
        warnings.push(format!(
            "others may read the secret {path}; chmod 600 {path}"
        ));
    }
    warnings.extend(foreign_owner(path, &file));
    Ok(warnings)
}

/// Root may change every file anyway.
fn foreign_owner(path: &Path, metadata: &fs::Metadata) -> Option<String> {
    let (owner, user) = (metadata.uid(), geteuid().as_raw());
    (owner != user && owner != 0).then(|| {
        format!(
            "{} belongs to user {owner}, who may change it; chown it to user {user}",
            path.display()
        )
    })
}

/// `None` if nothing is at the path.
fn there<T>(result: std::io::Result<T>, path: &Path) -> Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        result => result.map(Some).with_context(|| unusable(path)),
    }
}

fn unusable(path: &Path) -> String {
    format!("{} is not usable", path.display())
}

/// The text in a file, or a new random one that is written there. Of two
/// processes that start at once one makes it and both use it.
fn kept_or_made(path: &Path) -> Result<(String, bool)> {
    let context = || unusable(path);
    for _ in 0..50 {
        match fs::read_to_string(path) {
            Ok(text) if !text.trim().is_empty() => {
                return Ok((text.trim().to_owned(), false));
            }
            // Another process has made it and not written it yet.
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
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn an_empty_secret_file_is_an_error_that_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret-key");
        fs::write(&path, "\n").unwrap();
        assert!(
            kept_or_made(&path)
                .unwrap_err()
                .to_string()
                .contains("remove it")
        );
    }

    #[test]
    fn secrets_that_others_can_read_or_change_are_warned_of() {
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
        // A test that is not root cannot make a file of somebody else.
        if geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
            let [warning] = inspect_file(&path).unwrap().try_into().unwrap();
            assert!(warning.contains("belongs to user 12345"), "{warning}");
        }
    }
}
