//! Files and folders that are on the disk when a function returns.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Makes a folder that only its owner may look into.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

/// Opens a file of the owner's for writing, made if it is not there.
pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Puts a whole file in place: after a crash there is the old one or the new
/// one, never a part.
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

/// Gives a file a name under which nobody uses it but people.
pub(super) fn set_aside(path: &Path) -> io::Result<()> {
    fs::rename(path, free_name(path)?)
}

/// Keeps the bytes of a file under such a name, whatever becomes of the file.
pub(super) fn keep_copy(path: &Path) -> io::Result<PathBuf> {
    let copy = free_name(path)?;
    // A second name takes no room and reads nothing; not every disk knows them.
    match fs::hard_link(path, &copy) {
        Ok(()) => Ok(copy),
        Err(_) => fs::copy(path, &copy).map(|_| copy),
    }
}

/// A file may be found damaged a second time.
fn free_name(path: &Path) -> io::Result<PathBuf> {
    let names = ["damaged", "damaged2"].map(|name| path.with_extension(name));
    let mut free = names.into_iter().filter(|name| !name.exists());
    free.next().ok_or_else(|| ErrorKind::AlreadyExists.into())
}
