//! The files of a journal: what is appended, and what is removed.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ports::journal::{JournalError, JournalMark, JournalUsage};

use super::{OpenError, failed};
use crate::files;

/// A segment that has this many bytes gets no more.
const SEGMENT: u64 = 16 * 1024 * 1024;

/// A probe writes at least as much as one entry takes.
const MIN_PROBE_BYTES: u64 = 1024;

pub(super) struct Segments {
    pub(super) folder: PathBuf,
    capacity: u64,
    /// The oldest first. The last one may be open for appending.
    pub(super) parts: VecDeque<Segment>,
    /// The last segment, while it takes more.
    open: Option<File>,
    /// How far the entries of the first segment were removed.
    pub(super) front: u64,
    /// Where the last reading ended, and how many entries of that segment it gave.
    pub(super) read_to: (JournalMark, u64),
    pub(super) next_number: u64,
    pub(super) set_aside: u64,
    /// Damaged places that were found.
    pub(super) damaged: u64,
    /// How many bytes were to be appended the last time.
    refused: u64,
    warned: bool,
    /// Held as long as the journal is open.
    _lock: File,
}

pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) bytes: u64,
    /// Entries that were not removed.
    pub(super) entries: u64,
    /// Whether people should look at it: it is set aside instead of deleted.
    pub(super) keep: bool,
    /// Damage before this place is known.
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
            parts: VecDeque::new(),
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
            refused: 0,
            warned: false,
            _lock: lock,
        };
        this.recover()?;
        Ok(this)
    }

    pub(super) fn append(&mut self, buffer: &[u8], entries: u64) -> Result<(), JournalError> {
        self.refused = length_of(buffer);
        self.must_have_room(self.refused)?;
        let outcome = self.append_durably(buffer, entries);
        if outcome.is_err() {
            // Whatever reached the disk was never answered. After a failed sync
            // nobody knows what the file holds, so nothing more goes into it.
            self.open = None;
            self.remove_empty_end();
        }
        self.warn_when_filling_up();
        outcome.map_err(refused)
    }

    /// Whether an append of as many bytes as the last one that failed would work now: as
    /// many are written to a file of their own.
    pub(super) fn probe(&self) -> Result<(), JournalError> {
        let bytes = self.refused.max(MIN_PROBE_BYTES);
        self.must_have_room(bytes)?;
        let length = usize::try_from(bytes).map_err(failed)?;
        let path = self.folder.join("probe");
        let tried = files::open(&path).and_then(|mut file| {
            file.write_all(&vec![0; length])?;
            file.sync_data()
        });
        // One that stays is written over the next time.
        let _ = fs::remove_file(&path);
        tried.map_err(refused)
    }

    fn must_have_room(&self, bytes: u64) -> Result<(), JournalError> {
        if self.bytes().saturating_add(bytes) > self.capacity {
            return Err(JournalError::Full);
        }
        Ok(())
    }

    /// Removes the last segment if it holds nothing: on a full disk every append
    /// would leave one behind.
    fn remove_empty_end(&mut self) {
        if let Some(last) = self.parts.pop_back_if(|last| last.bytes == 0) {
            // One that stays is removed by the next start.
            let _ = fs::remove_file(self.path(last.number));
        }
    }

    fn append_durably(&mut self, buffer: &[u8], entries: u64) -> io::Result<()> {
        let full = self.parts.back().is_none_or(|last| last.bytes >= SEGMENT);
        // A file that somebody has deleted would take everything and keep nothing.
        let usable = |file: &File| file.metadata().is_ok_and(|it| it.nlink() > 0);
        if full || !self.open.as_ref().is_some_and(usable) {
            let number = self.next_number;
            self.next_number = number.saturating_add(1);
            self.open = Some(files::open(&self.path(number))?);
            files::sync_folder(&self.folder)?;
            self.parts.push_back(Segment {
                number,
                bytes: 0,
                entries: 0,
                keep: false,
                checked: 0,
            });
        }
        let (Some(file), Some(last)) = (self.open.as_mut(), self.parts.back_mut()) else {
            return Err(io::Error::other("the journal has no segment"));
        };
        let written = file
            .seek(SeekFrom::Start(last.bytes))
            .and_then(|_| file.write_all(buffer))
            .and_then(|()| file.sync_data());
        if let Err(error) = written {
            // Best effort: a reader would cut it off as a torn end anyway.
            let _ = file.set_len(last.bytes);
            return Err(error);
        }
        last.bytes = last.bytes.saturating_add(length_of(buffer));
        last.entries = last.entries.saturating_add(entries);
        Ok(())
    }

    pub(super) fn remove(&mut self, mark: JournalMark) -> Result<(), JournalError> {
        while let Some(first) = self.parts.front_mut() {
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
            if self.parts.len() == 1 {
                self.open = None;
            }
            self.parts.pop_front();
            self.front = 0;
            let path = self.path(number);
            let removed = if keep {
                files::set_aside(&path)
            } else {
                fs::remove_file(&path)
            };
            match removed {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                // It stays for people under its old name.
                Err(error) if keep => {
                    tracing::error!(segment = %path.display(), %error, "a damaged part of the journal could not be set aside");
                }
                removed => removed.map_err(failed)?,
            }
        }
        Ok(())
    }

    pub(super) fn usage(&self) -> JournalUsage {
        JournalUsage {
            entries: self.parts.iter().map(|segment| segment.entries).sum(),
            bytes: self.bytes(),
            capacity: self.capacity,
            set_aside: self.set_aside,
            damaged: self.damaged,
            refusing: None,
        }
    }

    fn bytes(&self) -> u64 {
        self.parts.iter().map(|segment| segment.bytes).sum()
    }

    fn warn_when_filling_up(&mut self) {
        let usage = self.usage();
        if usage.is_filling_up() && !self.warned {
            tracing::warn!(
                bytes = usage.bytes,
                capacity = usage.capacity,
                "the journal is filling up"
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

fn refused(error: io::Error) -> JournalError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => JournalError::Full,
        _ => failed(error),
    }
}
