//! Compares the dependencies between the crates with `docs/architecture.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde::Deserialize;

/// For each crate, the crates of the workspace that it may use, and the others that it never uses.
const PICTURE: [(&str, &[&str], &[&str]); 13] = [
    (
        "domain",
        &[],
        &[
            "async-trait",
            "tokio",
            "sqlx",
            "actix-web",
            "getrandom",
            "rand",
            "tracing",
        ],
    ),
    ("ports", &["domain"], &["sqlx", "actix-web", "tokio"]),
    ("usecases", &["domain", "ports"], &["sqlx", "actix-web"]),
    (
        "adapter-integrators",
        &["domain", "ports"],
        &["actix-web", "sqlx", "tokio", "async-trait"],
    ),
    (
        "adapter-journal",
        &["domain", "ports"],
        &["actix-web", "sqlx"],
    ),
    ("sql-rows", &["domain", "ports"], &["actix-web", "tokio"]),
    (
        "adapter-postgres",
        &["domain", "ports", "sql-rows"],
        &["actix-web"],
    ),
    (
        "adapter-sqlite",
        &["domain", "ports", "sql-rows"],
        &["actix-web"],
    ),
    (
        "adapter-webhook",
        &["domain", "ports"],
        &["actix-web", "sqlx"],
    ),
    (
        "adapter-console",
        &["domain", "ports", "usecases"],
        &["sqlx"],
    ),
    ("adapter-http", &["domain", "ports", "usecases"], &["sqlx"]),
    ("testkit", &["domain", "ports"], &["actix-web"]),
    ("traffic", &[], &["actix-web", "sqlx", "tokio"]),
];

/// The crates that no other crate uses: the program, and the one that measures it.
const OUTERMOST: [&str; 2] = ["receiptd", "bench"];

/// The part of `cargo metadata` that is compared. A crate that parses all of it would enable
/// another feature of `serde_json`, and half of the dependencies would be compiled twice.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `None` for a normal dependency, otherwise `dev` or `build`.
    kind: Option<String>,
}

fn packages() -> BTreeMap<String, Package> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .args(["--manifest-path", manifest])
        .output()
        .expect("cargo can be run");
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).expect("cargo describes the workspace");
    metadata
        .packages
        .into_iter()
        .map(|package| (package.name.clone(), package))
        .collect()
}

/// The names of the crates that `package` uses outside of its tests and build scripts.
fn normal_dependencies(package: &Package) -> BTreeSet<&str> {
    let normal = package.dependencies.iter().filter(|it| it.kind.is_none());
    normal.map(|dependency| dependency.name.as_str()).collect()
}

#[test]
fn every_crate_is_listed() {
    let known: BTreeSet<&str> = PICTURE
        .iter()
        .map(|(name, ..)| *name)
        .chain(OUTERMOST)
        .collect();
    let packages = packages();
    let found: BTreeSet<&str> = packages.keys().map(String::as_str).collect();
    let unlisted: Vec<_> = found.difference(&known).collect();
    assert!(unlisted.is_empty(), "not listed: {unlisted:?}");
}

#[test]
fn dependencies_point_inwards_only() {
    let packages = packages();
    for (name, may_use, never_uses) in PICTURE {
        let used = normal_dependencies(&packages[name]);
        for ours in packages
            .keys()
            .map(String::as_str)
            .filter(|ours| used.contains(ours))
        {
            assert!(may_use.contains(&ours), "{name} must not use {ours}");
        }
        for foreign in never_uses {
            assert!(!used.contains(foreign), "{name} must not use {foreign}");
        }
    }
}

#[test]
fn testkit_is_used_by_tests_and_benchmarks_only() {
    for (name, package) in packages() {
        let used = normal_dependencies(&package);
        assert!(
            name == "bench" || !used.contains("testkit"),
            "{name} must not ship the testkit"
        );
        assert!(
            OUTERMOST.iter().all(|outer| !used.contains(outer)),
            "{name} uses an outermost crate"
        );
    }
}
