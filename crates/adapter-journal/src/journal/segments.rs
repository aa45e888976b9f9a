//! The segment files: appending and removing entries.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ports::journal::{JournalError, JournalMark, JournalUsage};

use super::{OpenError, failed};
use crate::files;

/// A segment of this size or more is full.
const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;

/// A probe writes at least about one entry.
const MIN_PROBE_BYTES: u64 = 1024;

pub(super) struct Segments {
    pub(super) folder: PathBuf,
    capacity: u64,
    /// Oldest first. The last one may be open for appending.
    pub(super) files: VecDeque<Segment>,
    /// The last segment while it is being appended to.
    open: Option<File>,
    /// Offset of the first entry of the first segment that was not removed.
    pub(super) front: u64,
    /// Where the last read ended, and how many entries of that segment it returned.
    pub(super) read_to: (JournalMark, u64),
    pub(super) next_number: u64,
    pub(super) set_aside: u64,
    /// How many damaged places were found.
    pub(super) damaged: u64,
    /// Size of the last append; a probe writes as much.
    last_append: u64,
    warned: bool,
    /// Keeps other processes out while the journal is open.
    _lock: File,
}

pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) bytes: u64,
    /// Entries that were not removed yet.
    pub(super) entries: u64,
    /// Whether it is damaged, and therefore renamed instead of deleted.
    pub(super) keep: bool,
    /// Damage before this offset was already counted.
    pub(super) checked: u64,
}

impl Segments {
    pub(super) fn open(folder: &Path, capacity: u64) -> Result<Self, OpenError> {
        files::make_folder(folder)?;
        let lock = files::open(&folder.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => OpenError::InUse,
            fs::TryLockError::Error(error) => OpenError::Folder(error),
        })?;
        let mut this = Self {
            folder: folder.to_owned(),
            capacity,
            files: VecDeque::new(),
            open: None,
            front: 0,
            read_to: (
                JournalMark {
                    segment: 0,
                    offset: 0,
                },
                0,
            ),
            next_number: 1,
            set_aside: 0,
            damaged: 0,
            last_append: 0,
            warned: false,
            _lock: lock,
        };
        this.recover()?;
        Ok(this)
    }

    pub(super) fn append(&mut self, buffer: &[u8], entries: u64) -> Result<(), JournalError> {
        self.last_append = length_of(buffer);
        self.check_room(self.last_append)?;
        let outcome = self.append_durably(buffer, entries);
        if outcome.is_err() {
            // Nothing of it was acknowledged. After a failed sync the content of the file is
            // unknown, so nothing more is appended to it.
            self.open = None;
            self.remove_empty_end();
        }
        self.warn_when_filling_up();
        outcome.map_err(append_error)
    }

    /// Checks whether an append of the same size as the last one would succeed, by writing and
    /// syncing a temporary file of that size.
    pub(super) fn probe(&self) -> Result<(), JournalError> {
        let bytes = self.last_append.max(MIN_PROBE_BYTES);
        self.check_room(bytes)?;
        let length = usize::try_from(bytes).map_err(failed)?;
        let path = self.folder.join("probe");
        let tried = files::open(&path).and_then(|mut file| {
            file.write_all(&vec![0; length])?;
            file.sync_data()
        });
        // A leftover file is overwritten by the next probe.
        let _ = fs::remove_file(&path);
        tried.map_err(append_error)
    }

    fn check_room(&self, bytes: u64) -> Result<(), JournalError> {
        if self.bytes().saturating_add(bytes) > self.capacity {
            return Err(JournalError::Full);
        }
        Ok(())
    }

    /// Removes the last segment if it is empty; otherwise every failed append on a full disk
    /// would leave one.
    fn remove_empty_end(&mut self) {
        if let Some(last) = self.files.pop_back_if(|last| last.bytes == 0) {
            // A leftover file is removed by the next start.
            let _ = fs::remove_file(self.path(last.number));
        }
    }

    fn append_durably(&mut self, buffer: &[u8], entries: u64) -> io::Result<()> {
        let full = self
            .files
            .back()
            .is_none_or(|last| last.bytes >= SEGMENT_BYTES);
        // Appends to a file that was deleted from outside would succeed and be lost.
        let usable = |file: &File| file.metadata().is_ok_and(|it| it.nlink() > 0);
        if full || !self.open.as_ref().is_some_and(usable) {
            let number = self.next_number;
            self.next_number = number.saturating_add(1);
            self.open = Some(files::open(&self.path(number))?);
            files::sync_folder(&self.folder)?;
            self.files.push_back(Segment {
                number,
                bytes: 0,
                entries: 0,
                keep: false,
                checked: 0,
            });
        }
        let (Some(file), Some(last)) = (self.open.as_mut(), self.files.back_mut()) else {
            return Err(io::Error::other("the journal has no segment"));
        };
        let written = file
            .seek(SeekFrom::Start(last.bytes))
            .and_then(|_| file.write_all(buffer))
            .and_then(|()| file.sync_data());
        if let Err(error) = written {
            // Best effort: a reader would skip the incomplete append anyway.
            let _ = file.set_len(last.bytes);
            return Err(error);
        }
        last.bytes = last.bytes.saturating_add(length_of(buffer));
        last.entries = last.entries.saturating_add(entries);
        Ok(())
    }

    pub(super) fn remove(&mut self, mark: JournalMark) -> Result<(), JournalError> {
        while let Some(first) = self.files.front_mut() {
            if first.number > mark.segment {
                break;
            }
            if first.number == mark.segment && mark.offset < first.bytes {
                if self.read_to.0 == mark && mark.offset > self.front {
                    first.entries = first.entries.saturating_sub(self.read_to.1);
                }
                self.front = self.front.max(mark.offset);
                break;
            }
            let (number, keep) = (first.number, first.keep);
            if self.files.len() == 1 {
                self.open = None;
            }
            self.files.pop_front();
            self.front = 0;
            let path = self.path(number);
            let removed = if keep {
                files::set_aside(&path)
            } else {
                fs::remove_file(&path)
            };
            match removed {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                // The damaged file keeps its name.
                Err(error) if keep => {
                    tracing::error!(segment = %path.display(), %error, "damaged journal segment could not be renamed");
                }
                removed => removed.map_err(failed)?,
            }
        }
        Ok(())
    }

    pub(super) fn usage(&self) -> JournalUsage {
        JournalUsage {
            entries: self.files.iter().map(|segment| segment.entries).sum(),
            bytes: self.bytes(),
            capacity: self.capacity,
            set_aside: self.set_aside,
            damaged: self.damaged,
            refusing: None,
        }
    }

    fn bytes(&self) -> u64 {
        self.files.iter().map(|segment| segment.bytes).sum()
    }

    fn warn_when_filling_up(&mut self) {
        let usage = self.usage();
        if usage.is_filling_up() && !self.warned {
            tracing::warn!(
                bytes = usage.bytes,
                capacity = usage.capacity,
                "the journal is filling up; restore the database or enlarge the journal"
            );
        }
        self.warned = usage.is_filling_up();
    }

    pub(super) fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("journal-{number:020}.log"))
    }
}

pub(super) fn length_of(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn append_error(error: io::Error) -> JournalError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => JournalError::Full,
        _ => failed(error),
    }
}
