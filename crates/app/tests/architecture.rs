//! Holds the arrows between the crates to the picture in `docs/architecture.md`.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// Which of our crates a crate may use, and which foreign ones it never uses.
const PICTURE: [(&str, &[&str], &[&str]); 10] = [
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
        "adapter-files",
        &["domain", "ports"],
        &["actix-web", "sqlx"],
    ),
    ("adapter-postgres", &["domain", "ports"], &["actix-web"]),
    ("adapter-sqlite", &["domain", "ports"], &["actix-web"]),
    (
        "adapter-webhook",
        &["domain", "ports"],
        &["actix-web", "sqlx"],
    ),
    ("adapter-http", &["domain", "ports", "usecases"], &["sqlx"]),
    ("testkit", &["domain", "ports"], &["actix-web"]),
];

/// The crates that are known by nobody: the program, and the one that measures it.
const OUTERMOST: [&str; 2] = ["receiptd", "bench"];

fn packages() -> BTreeMap<String, Package> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let metadata = MetadataCommand::new()
        .manifest_path(manifest)
        .no_deps()
        .other_options(vec!["--offline".to_owned()])
        .exec()
        .expect("cargo tells about the workspace");
    metadata
        .packages
        .into_iter()
        .map(|package| (package.name.to_string(), package))
        .collect()
}

fn dependencies(package: &Package, kind: DependencyKind) -> BTreeSet<&str> {
    let of_kind = package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind == kind);
    of_kind.map(|dependency| dependency.name.as_str()).collect()
}

#[test]
fn every_crate_is_in_the_picture() {
    let known: BTreeSet<&str> = PICTURE
        .iter()
        .map(|(name, ..)| *name)
        .chain(OUTERMOST)
        .collect();
    let packages = packages();
    let found: BTreeSet<&str> = packages.keys().map(String::as_str).collect();
    let strangers: Vec<_> = found.difference(&known).collect();
    assert!(strangers.is_empty(), "not in the picture: {strangers:?}");
}

#[test]
fn arrows_point_inwards_only() {
    let packages = packages();
    for (name, may_use, never_uses) in PICTURE {
        let used = dependencies(&packages[name], DependencyKind::Normal);
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
fn the_testkit_is_for_tests_and_measuring_only() {
    for (name, package) in packages() {
        let used = dependencies(&package, DependencyKind::Normal);
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
