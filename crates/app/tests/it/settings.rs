//! What is made of settings, and what a command does where nothing is.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::support::{Engine, RuntimeHandle, USER, bare_command, files_in, run, text};

#[tokio::test]
async fn a_command_in_the_wrong_place_says_so_and_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        &["channel", "list"][..],
        &["message", "list"],
        &["erase", "--recipient", "+15550100001"],
        &["event", "list"],
    ] {
        let mut command = bare_command(args);
        command.current_dir(folder.path());
        let output = run(command, b"");
        let stderr = text(&output.stderr);
        assert!(
            !output.status.success()
                && stderr.contains("there is no database at")
                && stderr.contains("RECEIPTD_DATA_DIR"),
            "{args:?}: {stderr}"
        );
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn a_command_leaves_the_schema_to_those_who_bring_it_up_to_date() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let home = RuntimeHandle::new(engine).await;
        if engine == Engine::Sqlite {
            std::fs::write(home.folder.path().join("test.db"), b"").unwrap();
        }
        let refused = home.run_with_input(&["message", "list"], b"");
        let stderr = text(&refused.stderr);
        assert!(
            !refused.status.success() && stderr.contains("run `receiptd migrate`"),
            "{stderr}"
        );
        home.run(&["migrate"]);
        home.run(&["message", "list"]);
    }
}

#[tokio::test]
async fn the_check_finds_what_would_stop_the_server() {
    let home = RuntimeHandle::new(Engine::Sqlite).await;
    home.run(&["channel", "add", "1", "--name", "n", "--user", USER]);
    let no_certificate = home.folder.path().join("no-certificate.pem");
    std::fs::write(&no_certificate, "-----BEGIN NOTHING-----").unwrap();
    let no_certificate = no_certificate.to_str().unwrap();
    for (settings, said) in [
        (
            &[("RECEIPTD_PUSH_CA_FILE", "/nope")][..],
            "RECEIPTD_PUSH_CA_FILE /nope",
        ),
        (&[("RECEIPTD_PUSH_CA_FILE", no_certificate)], "not in PEM"),
        (&[("RECEIPTD_LOG", "inf")], "\"inf\" is no level"),
        (&[("RECEIPTD_LOG", "bogus=level=x")], "a filter is like"),
        (
            &[
                ("RECEIPTD_PUBLIC_LISTEN", "127.0.0.1:8080"),
                ("RECEIPTD_ADMIN_LISTEN", "127.0.0.1:8080"),
            ],
            "are both 127.0.0.1:8080",
        ),
        (
            &[("RECEIPTD_DATABASE_URL", "postgres://x:p@ss/w@db/receipts")],
            "%2F",
        ),
    ] {
        let mut command = home.command(&["config", "check"]);
        command.envs(settings.iter().copied());
        let output = run(command, b"");
        let stderr = text(&output.stderr);
        assert!(
            !output.status.success() && stderr.contains(said),
            "{settings:?}: {stderr}"
        );
    }
}

/// All files below a folder, and what is in them.
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

#[tokio::test]
async fn the_check_makes_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let check = || {
        let mut command = bare_command(&["config", "check"]);
        command.current_dir(folder.path());
        let output = run(command, b"");
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let said = check();
    assert!(said.contains("there is no database"), "{said}");
    assert_eq!(contents(folder.path()), []);

    for engine in [Engine::Sqlite, Engine::Postgres] {
        let home = RuntimeHandle::new(engine).await;
        if engine == Engine::Sqlite {
            std::fs::write(home.folder.path().join("test.db"), b"").unwrap();
        }
        let checked = home.json(&["config", "check"]);
        assert_eq!(checked["channels"], serde_json::Value::Null);
        let said = checked["warnings"].to_string();
        assert!(said.contains("has no schema"), "{said}");
        let listed = home.run_with_input(&["channel", "list"], b"");
        assert!(text(&listed.stderr).contains("run `receiptd migrate`"));
    }
}

#[tokio::test]
async fn the_check_warns_of_secrets_and_folders_that_others_can_change() {
    let home = RuntimeHandle::new(Engine::Sqlite).await;
    home.run(&["migrate"]);
    let data = home.folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let check = || {
        let mut command = home.command(&["config", "check"]);
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
    assert!(check().contains("All settings are good"), "{}", check());
    chmod(&data, 0o770);
    assert!(check().contains("others may write to the data folder"));
    chmod(&data, 0o700);
    let token = home.folder.path().join("elsewhere");
    std::fs::write(&token, "a-token-of-many-letters\n").unwrap();
    chmod(&token, 0o644);
    std::os::unix::fs::symlink(&token, data.join("admin-token")).unwrap();
    let said = check();
    assert!(
        said.contains("is a symbolic link") && said.contains("others may read the secret"),
        "{said}"
    );
}
