//! Style sheet, script and icon, embedded in the binary.
//!
//! Each file is served under a name with the hash of its contents, so that browsers may keep it
//! forever and fetch a new one after an update.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{Bytes, Path};
use rust_embed::Embed;
use sha2::{Digest as _, Sha256};

/// How long browsers keep a file: a year, the maximum, without asking again.
const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

const SCRIPT: &str = "console.js";
const ICON: &str = "icon.svg";

#[derive(Embed)]
#[folder = "assets"]
struct Files;

struct Asset {
    bytes: Bytes,
    media_type: &'static str,
}

/// The files by their names with hashes, and their paths.
#[derive(Default)]
struct Assets {
    by_name: HashMap<String, Asset>,
    names: AssetPaths,
}

/// The paths of the files, for pages.
#[derive(Clone, Debug, Default)]
pub(crate) struct AssetPaths {
    /// The style sheet: all of `assets/css`, in the order of their names.
    pub(crate) style: String,
    /// The script.
    pub(crate) script: String,
    /// The icon of the browser's tab.
    pub(crate) icon: String,
}

static ASSETS: LazyLock<Assets> = LazyLock::new(|| {
    let mut assets = Assets::default();
    let mut sheets: Vec<_> = Files::iter().filter(|it| it.ends_with(".css")).collect();
    sheets.sort_unstable();
    let style: Vec<u8> = sheets
        .iter()
        .flat_map(|sheet| read(sheet).to_vec())
        .collect();
    let names = AssetPaths {
        style: assets.add("console.css", "text/css; charset=utf-8", style.into()),
        script: assets.add(SCRIPT, "text/javascript; charset=utf-8", read(SCRIPT)),
        icon: assets.add(ICON, "image/svg+xml", read(ICON)),
    };
    Assets { names, ..assets }
});

impl Assets {
    /// Adds a file and returns its path.
    fn add(&mut self, file: &str, media_type: &'static str, bytes: Bytes) -> String {
        let name = hashed_name(file, &bytes);
        let path = format!("/console/assets/{name}");
        self.by_name.insert(name, Asset { bytes, media_type });
        path
    }
}

/// Returns the contents of an embedded file; empty if there is none.
fn read(file: &str) -> Bytes {
    match Files::get(file).map(|found| found.data) {
        Some(Cow::Borrowed(bytes)) => Bytes::from_static(bytes),
        Some(Cow::Owned(bytes)) => bytes.into(),
        None => Bytes::new(),
    }
}

/// Puts the first bytes of the hash of a file into its name: `console.1a2b3c4d5e6f7081.css`.
fn hashed_name(file: &str, bytes: &[u8]) -> String {
    let mut hash = String::with_capacity(16);
    for byte in Sha256::digest(bytes).iter().take(8) {
        // Writing into a `String` cannot fail.
        let _ = write!(hash, "{byte:02x}");
    }
    match file.rsplit_once('.') {
        Some((stem, extension)) => format!("{stem}.{hash}.{extension}"),
        None => format!("{file}.{hash}"),
    }
}

/// Returns the paths of the files.
pub(crate) fn paths() -> &'static AssetPaths {
    &ASSETS.names
}

/// Serves a file.
pub(crate) async fn file(name: Path<String>) -> HttpResponse {
    match ASSETS.by_name.get(name.as_str()) {
        Some(asset) => HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, asset.media_type))
            .insert_header((header::CACHE_CONTROL, CACHE_CONTROL))
            .body(asset.bytes.clone()),
        None => HttpResponse::NotFound().finish(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The most bytes that the script may have.
    const SCRIPT_MAX: usize = 10_240;

    #[test]
    fn every_file_is_served_under_a_name_with_its_hash() {
        let names = paths();
        for path in [&names.style, &names.script, &names.icon] {
            let name = path.strip_prefix("/console/assets/").unwrap();
            assert!(!ASSETS.by_name[name].bytes.is_empty(), "{path}");
            assert_eq!(name.split('.').nth(1).unwrap().len(), 16, "{path}");
        }
    }

    #[test]
    fn the_script_stays_small() {
        assert!(read(SCRIPT).len() <= SCRIPT_MAX);
    }
}
