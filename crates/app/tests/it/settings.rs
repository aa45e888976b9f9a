//! Settings, and commands without an installation.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rstest::rstest;
use serde_json::Value;

use super::support::{Engine, Installation, SECRET_KEY, USER, bare_command, files_in, run, text};

#[rstest]
#[case("channel list")]
#[case("message list")]
#[case("erase --recipient +15550100001")]
#[case("event list")]
fn command_without_a_database_fails_and_creates_nothing(#[case] line: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = bare_command(line);
    command.current_dir(folder.path());
    let output = run(command, b"");
    let stderr = text(&output.stderr);
    assert!(
        !output.status.success()
            && stderr.contains("there is no database at")
            && stderr.contains("RECEIPTD_DATA_DIR"),
        "{stderr}"
    );
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

/// Returns an installation whose database exists, but has no schema.
async fn without_schema(engine: Engine) -> Installation {
    let home = Installation::new(engine).await;
    if engine == Engine::Sqlite {
        std::fs::write(home.folder.path().join("test.db"), b"").unwrap();
    }
    home
}

#[rstest]
#[tokio::test]
async fn only_migrate_brings_the_schema_up_to_date(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let home = without_schema(engine).await;
    home.fails("message list", 1, "run `receiptd migrate`");
    home.run("migrate");
    home.run("message list");
}

#[tokio::test]
async fn config_check_finds_what_would_stop_the_server() {
    let home = Installation::new(Engine::Sqlite).await;
    home.run(&format!("channel add 1 --name n --user {USER}"));
    let no_certificate = home.folder.path().join("no-certificate.pem");
    std::fs::write(&no_certificate, "-----BEGIN NOTHING-----").unwrap();
    let no_certificate = no_certificate.to_str().unwrap();
    let occupied = "--public-listen 127.0.0.1:8080 --admin-listen 127.0.0.1:8080";
    for (flags, expected) in [
        ("--push-ca-file /nope", "RECEIPTD_PUSH_CA_FILE /nope"),
        (&format!("--push-ca-file {no_certificate}"), "not in PEM"),
        ("--log inf", "\"inf\" is not a level"),
        ("--log bogus=level=x", "a filter is like"),
        (occupied, "are both 127.0.0.1:8080"),
        ("--database-url postgres://x:p@ss/w@db/receipts", "%2F"),
        (
            "--database-url postgres://127.0.0.1:1/d",
            "Connection refused",
        ),
    ] {
        home.fails(&format!("config check {flags}"), 1, expected);
    }
}

#[rstest]
#[case("--database-url postgres://127.0.0.1:1/d?sslmode=bogus", "sslmode")]
#[case("--database-url sqlite:x.db?mod=ro", "mod")]
#[case("--database-url sqlite:folder", "unable to open")]
#[case("--log bogus=verbose", "a filter is like")]
fn error_says_each_cause_once(#[case] flags: &str, #[case] expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    let mut command = bare_command(&format!("config check {flags}"));
    command.current_dir(folder.path());
    command.env("RECEIPTD_SECRET_KEY", SECRET_KEY);
    let output = run(command, b"");
    let stderr = text(&output.stderr);
    assert!(
        !output.status.success() && stderr.contains(expected),
        "{stderr}"
    );
    let error = stderr.lines().last().unwrap();
    let causes: Vec<_> = error.split(": ").collect();
    let different: BTreeSet<_> = causes.iter().collect();
    assert_eq!(different.len(), causes.len(), "{error}");
}

/// Returns all files in a folder and below, with their contents.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for path in files_in(folder) {
        if path.is_dir() {
            all.push((path.clone(), Vec::new()));
            all.extend(contents(&path));
        } else {
            all.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
    all.sort();
    all
}

#[test]
fn config_check_creates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = bare_command("config check");
    command.current_dir(folder.path());
    let output = run(command, b"");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let checked = text(&output.stdout);
    assert!(checked.contains("there is no database"), "{checked}");
    assert_eq!(contents(folder.path()), []);
}

#[rstest]
#[tokio::test]
async fn config_check_does_not_migrate(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let home = without_schema(engine).await;
    let checked = home.json("config check");
    assert_eq!(checked["channels"], Value::Null);
    let warnings = checked["warnings"].to_string();
    assert!(warnings.contains("has no schema"), "{warnings}");
    home.fails("channel list", 1, "run `receiptd migrate`");
}

#[tokio::test]
async fn config_check_warns_of_secrets_and_folders_that_other_users_can_change() {
    let home = Installation::new(Engine::Sqlite).await;
    home.run("migrate");
    let data = home.folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let check = || {
        let mut command = home.command("config check");
        command.env_remove("RECEIPTD_ADMIN_TOKEN");
        let output = run(command, b"");
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let chmod = |path: &Path, mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(path, permissions).unwrap();
    };
    chmod(&data, 0o700);
    assert!(check().contains("All settings are valid"), "{}", check());
    chmod(&data, 0o770);
    assert!(check().contains("other users can write to the data folder"));
    chmod(&data, 0o700);
    let token = home.folder.path().join("elsewhere");
    std::fs::write(&token, "a-token-of-many-letters\n").unwrap();
    chmod(&token, 0o644);
    std::os::unix::fs::symlink(&token, data.join("admin-token")).unwrap();
    let checked = check();
    assert!(
        checked.contains("is a symbolic link")
            && checked.contains("other users can read the secret"),
        "{checked}"
    );
}
