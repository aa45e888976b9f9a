//! Finds PostgreSQL's server programs, which distributions keep off the `PATH`.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::packages;

const OLDEST_MAJOR: u32 = 15;

/// Folders with one folder per installed version, and the path of the programs in it.
const PLACES: [(&str, &str); 7] = [
    ("/usr/lib/postgresql", "bin"), // Debian, Ubuntu
    ("/usr", "bin"),                // /usr/pgsql-17: Red Hat and kin
    ("/usr/libexec", "."),          // /usr/libexec/postgresql17: Alpine
    ("/usr/local", "bin"),          // /usr/local/pgsql: built by hand
    ("/usr/local/opt", "bin"),      // Homebrew on Intel
    ("/opt/homebrew/opt", "bin"),   // Homebrew on Apple silicon
    ("/Applications/Postgres.app/Contents/Versions", "bin"),
];

/// Returns the folder with `initdb`, `pg_ctl` and `postgres`: that of `PG_BINDIR`, else one on the
/// `PATH`, else the newest in a customary place. If there is none, root on Debian gets the package
/// installed.
pub(super) fn find_or_install() -> io::Result<PathBuf> {
    if let Some(found) = find()? {
        return Ok(found);
    }
    packages::install(&["postgresql"], || Ok(find()?.is_some()))?;
    if let Some(found) = find()? {
        return Ok(found);
    }
    Err(io::Error::other(format!(
        "no PostgreSQL server found: install PostgreSQL {OLDEST_MAJOR} or later (or name the \
         folder of initdb and pg_ctl in PG_BINDIR), or set TEST_POSTGRES_URL to the URL of a \
         running server's superuser"
    )))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test machine is described by its environment"
)]
fn find() -> io::Result<Option<PathBuf>> {
    if let Some(named) = env::var_os("PG_BINDIR").filter(|value| !value.is_empty()) {
        let named = PathBuf::from(named);
        return match major_version(&named) {
            Some(OLDEST_MAJOR..) => Ok(Some(named)),
            _ => Err(io::Error::other(format!(
                "PG_BINDIR is {}, where there is no initdb, pg_ctl and postgres of version \
                 {OLDEST_MAJOR} or later",
                named.display()
            ))),
        };
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).find_map(|folder| {
        // Through the links some systems put there, to where the other programs are.
        let program = fs::canonicalize(folder.join("pg_ctl")).ok()?;
        let folder = program.parent()?.to_path_buf();
        (major_version(&folder)? >= OLDEST_MAJOR).then_some(folder)
    });
    Ok(on_path.or_else(|| {
        PLACES
            .iter()
            .flat_map(|(parent, inner)| folders_of_versions(parent, inner))
            .filter_map(|folder| Some((major_version(&folder)?, folder)))
            .filter(|(major, _)| *major >= OLDEST_MAJOR)
            .max()
            .map(|(_, folder)| folder)
    }))
}

fn folders_of_versions(parent: &str, inner: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    entries
        .flatten()
        .map(|entry| entry.path().join(inner))
        .collect()
}

/// Returns the version of the server programs in a folder; `None` if they are incomplete.
fn major_version(folder: &Path) -> Option<u32> {
    let all_there = ["initdb", "pg_ctl", "postgres"]
        .iter()
        .all(|name| folder.join(name).is_file());
    if !all_there {
        return None;
    }
    let output = Command::new(folder.join("postgres"))
        .arg("--version")
        .output()
        .ok()?;
    parse_major(&String::from_utf8_lossy(&output.stdout))
}

/// Parses `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, also `17beta1`.
fn parse_major(version: &str) -> Option<u32> {
    let number = version.split_once("(PostgreSQL) ")?.1;
    let digits = number.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::parse_major;

    #[test]
    fn the_major_version_is_parsed_from_the_output_of_postgres() {
        let debian = "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n";
        assert_eq!(parse_major(debian), Some(15));
        assert_eq!(parse_major("postgres (PostgreSQL) 19beta1\n"), Some(19));
        assert_eq!(parse_major("initdb: error\n"), None);
    }
}
