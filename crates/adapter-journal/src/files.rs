//! Durable file operations: when a function returns, its effect survives a crash.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Creates a folder, and its parents, with access for the owner only.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

/// Opens a file for reading and writing; creates it with access for the owner only.
pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Syncs a folder, so that files created or renamed in it survive a crash.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Replaces a file atomically: after a crash it has either the old or the new content.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    // A file left over from a crash may be longer.
    let _ = fs::remove_file(&new);
    let mut file = open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Renames a file to `*.damaged` (or `*.damaged2`), which the journal ignores.
pub(super) fn set_aside(path: &Path) -> io::Result<()> {
    fs::rename(path, free_name(path)?)
}

/// Copies a file to `*.damaged` (or `*.damaged2`) and returns that path.
pub(super) fn keep_copy(path: &Path) -> io::Result<PathBuf> {
    let copy = free_name(path)?;
    // A hard link needs no space and no reads, but not every file system has them.
    match fs::hard_link(path, &copy) {
        Ok(()) => Ok(copy),
        Err(_) => fs::copy(path, &copy).map(|_| copy),
    }
}

/// Returns the first unused name: a segment can be found damaged twice.
fn free_name(path: &Path) -> io::Result<PathBuf> {
    let names = ["damaged", "damaged2"].map(|name| path.with_extension(name));
    let mut free = names.into_iter().filter(|name| !name.exists());
    free.next().ok_or_else(|| ErrorKind::AlreadyExists.into())
}
