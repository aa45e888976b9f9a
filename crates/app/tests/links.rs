//! Links in the documentation lead to files and headings that exist.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the documents for people who use or develop the service.
fn documents() -> Vec<PathBuf> {
    let mut folders = vec![root().join("docs")];
    let mut documents: Vec<_> = [
        "README.md",
        "CHANGELOG.md",
        "crates/bench/RESULTS.md",
        "migrations/README.md",
    ]
    .map(|name| root().join(name))
    .into();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                documents.push(path);
            }
        }
    }
    documents
}

/// Returns the lines outside code blocks.
fn prose(document: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(document).unwrap();
    let mut is_code = false;
    let lines = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    });
    lines.map(str::to_owned).collect()
}

/// Returns the anchors of a document's headings, as GitHub and most other readers make them.
fn anchors(document: &Path) -> BTreeSet<String> {
    let lines = prose(document).into_iter();
    let headings = lines.filter(|line| line.starts_with('#'));
    let anchor = |heading: String| {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            _ if c.is_alphanumeric() => Some(c),
            _ => None,
        });
        kept.collect()
    };
    headings.map(anchor).collect()
}

/// Returns the targets of the links of a document.
fn targets(document: &Path) -> Vec<String> {
    let mut targets = Vec::new();
    for line in prose(document) {
        let parts = line.split("](").skip(1);
        targets.extend(parts.filter_map(|part| Some(part.split_once(')')?.0.to_owned())));
    }
    targets
}

#[test]
fn links_between_documents_lead_somewhere() {
    let documents = documents();
    let headings: HashMap<_, _> = documents
        .iter()
        .map(|document| (document.canonicalize().unwrap(), anchors(document)))
        .collect();
    let (mut checked, mut broken) = (0, Vec::new());
    for document in &documents {
        for target in targets(document) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            checked += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let linked = if path.is_empty() {
                document.clone()
            } else {
                document.parent().unwrap().join(path)
            };
            let leads = linked.canonicalize().is_ok_and(|linked| {
                anchor.is_empty() || headings.get(&linked).is_some_and(|it| it.contains(anchor))
            });
            if !leads {
                broken.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert_eq!(broken, [""; 0]);
    assert!(checked > 100, "only {checked} links were found");
}
