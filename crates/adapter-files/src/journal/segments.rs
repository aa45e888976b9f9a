//! The files of a journal.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use ports::journal::{JournalEntry, JournalError, JournalMark, JournalUsage};

use super::record::Found;
use super::{OpenError, entry, failed, record};
use crate::files;

/// A segment that has this many bytes gets no more.
const SEGMENT: u64 = 16 * 1024 * 1024;

/// How much of a segment is read at once; several times the longest record.
const READ_AT_ONCE: u64 = 4 * 1024 * 1024;

pub(super) struct Segments {
    folder: PathBuf,
    capacity: u64,
    /// The oldest first. The last one may be open for appending.
    parts: VecDeque<Segment>,
    /// The last segment, while it takes more.
    open: Option<File>,
    /// How far the entries of the first segment were removed.
    front: u64,
    /// Where the last reading ended, and how many entries of that segment it gave.
    read_to: (JournalMark, u64),
    next_number: u64,
    set_aside: u64,
    warned: bool,
    /// Held as long as the journal is open.
    _lock: File,
}

struct Segment {
    number: u64,
    bytes: u64,
    /// Entries that were not removed.
    entries: u64,
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
            warned: false,
            _lock: lock,
        };
        this.recover()?;
        Ok(this)
    }

    /// Reads what an earlier process has left. New entries go to a new segment.
    fn recover(&mut self) -> io::Result<()> {
        let mut numbers: Vec<u64> = Vec::new();
        for file in fs::read_dir(&self.folder)? {
            numbers.extend(number_of(&file?.path()));
        }
        numbers.sort_unstable();
        for number in numbers {
            self.next_number = number.saturating_add(1);
            // One segment that cannot be read must not hide the others.
            match self.recover_segment(number) {
                Ok(Some(segment)) => self.parts.push_back(segment),
                Ok(None) => {}
                Err(error) => {
                    self.set_aside = self.set_aside.saturating_add(1);
                    tracing::error!(segment = %self.path(number).display(), %error, "a part of the journal cannot be read");
                }
            }
        }
        let usage = self.usage();
        if usage.entries > 0 {
            tracing::warn!(
                entries = usage.entries,
                "the journal holds reports that the store has not taken yet"
            );
        }
        Ok(())
    }

    fn recover_segment(&mut self, number: u64) -> io::Result<Option<Segment>> {
        let path = self.path(number);
        let bytes = fs::read(&path)?;
        let (mut good, mut entries, mut damaged, mut at) = (Vec::new(), 0_u64, 0_usize, 0_usize);
        let mut torn = false;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            match record::read(rest) {
                Found::End => break,
                Found::Record(payload, length) => {
                    if entry::decode(payload).is_ok() {
                        entries = entries.saturating_add(1);
                        good.extend_from_slice(rest.get(..length).unwrap_or_default());
                    } else {
                        damaged = damaged.saturating_add(length);
                    }
                    at = at.saturating_add(length);
                }
                Found::Damage(length) => {
                    at = at.saturating_add(length);
                    // At the end it is what a crash left of an append that was
                    // never answered; anywhere else it is damage.
                    torn = at >= bytes.len();
                    if !torn {
                        damaged = damaged.saturating_add(length);
                    }
                }
            }
        }
        if torn && damaged == 0 {
            tracing::warn!(segment = %path.display(), bytes = bytes.len().saturating_sub(good.len()), "cut off the torn end of the journal");
        }
        let set_aside = damaged == 0 || self.set_segment_aside(&path, damaged);
        if entries == 0 {
            // Where no copy could be made this is the only one.
            if set_aside {
                fs::remove_file(&path)?;
            }
            return Ok(None);
        }
        let mut length = length_of(&bytes);
        if good.len() < bytes.len() {
            match files::replace(&path, &good) {
                Ok(()) => length = length_of(&good),
                // As on a full disk. Whoever reads it passes over what is no record.
                Err(error) => {
                    tracing::warn!(segment = %path.display(), %error, "a part of the journal is used as it is");
                }
            }
        }
        Ok(Some(Segment {
            number,
            bytes: length,
            entries,
        }))
    }

    /// Keeps a copy of a damaged segment for people to look at. `false` if there
    /// is no room for one.
    fn set_segment_aside(&mut self, path: &Path, damaged: usize) -> bool {
        let copy = path.with_extension("damaged");
        self.set_aside = self.set_aside.saturating_add(1);
        if let Err(error) = fs::copy(path, &copy) {
            tracing::error!(
                segment = %path.display(),
                bytes = damaged,
                %error,
                "a part of the journal is damaged, and no copy could be made; the rest is used"
            );
            return false;
        }
        tracing::error!(
            segment = %copy.display(),
            bytes = damaged,
            "a part of the journal is damaged; a copy was set aside, the rest is used"
        );
        true
    }

    pub(super) fn append(&mut self, buffer: &[u8], entries: u64) -> Result<(), JournalError> {
        if self.bytes().saturating_add(length_of(buffer)) > self.capacity {
            return Err(JournalError::Full);
        }
        let outcome = self.append_durably(buffer, entries);
        if let Err(error) = &outcome {
            // Whatever reached the disk was never answered. After a failed sync
            // nobody knows what the file holds, so nothing more goes into it.
            self.open = None;
            self.remove_empty_end();
            if error.kind() == ErrorKind::StorageFull || error.kind() == ErrorKind::QuotaExceeded {
                return Err(JournalError::Full);
            }
        }
        self.warn_when_filling_up();
        outcome.map_err(failed)
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
        if self.open.is_none() || full {
            let number = self.next_number;
            self.next_number = number.saturating_add(1);
            self.open = Some(files::open(&self.path(number))?);
            files::sync_folder(&self.folder)?;
            self.parts.push_back(Segment {
                number,
                bytes: 0,
                entries: 0,
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

    pub(super) fn oldest(
        &mut self,
        max: usize,
    ) -> Result<(Vec<JournalEntry>, JournalMark), JournalError> {
        let mut entries = Vec::new();
        let mut mark = JournalMark {
            segment: 0,
            offset: 0,
        };
        let mut given = 0_u64;
        for (place, segment) in self.parts.iter().enumerate() {
            let from = if place == 0 { self.front } else { 0 };
            let to = segment.bytes.min(from.saturating_add(READ_AT_ONCE));
            let bytes = read_part(&self.path(segment.number), from, to).map_err(failed)?;
            mark = JournalMark {
                segment: segment.number,
                offset: from,
            };
            given = 0;
            let mut rest = bytes.as_slice();
            while entries.len() < max {
                let length = match record::read(rest) {
                    Found::End => break,
                    Found::Record(payload, length) => {
                        given = given.saturating_add(1);
                        match entry::decode(payload) {
                            Ok(entry) => entries.push(entry),
                            Err(error) => {
                                tracing::error!(%error, "an entry of the journal makes no sense");
                            }
                        }
                        length
                    }
                    // The record goes on where this reading ends.
                    Found::Damage(_) if to < segment.bytes && mark.offset > from => break,
                    Found::Damage(length) => {
                        tracing::error!(
                            segment = segment.number,
                            bytes = length,
                            "a part of the journal became unreadable"
                        );
                        length
                    }
                };
                rest = rest.get(length..).unwrap_or_default();
                mark.offset = mark
                    .offset
                    .saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
            }
            if entries.len() >= max || mark.offset < segment.bytes {
                break;
            }
        }
        self.read_to = (mark, given);
        Ok((entries, mark))
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
            let number = first.number;
            if self.parts.len() == 1 {
                self.open = None;
            }
            self.parts.pop_front();
            self.front = 0;
            fs::remove_file(self.path(number)).map_err(failed)?;
        }
        Ok(())
    }

    pub(super) fn usage(&self) -> JournalUsage {
        JournalUsage {
            entries: self.parts.iter().map(|segment| segment.entries).sum(),
            bytes: self.bytes(),
            capacity: self.capacity,
            set_aside: self.set_aside,
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

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("journal-{number:020}.log"))
    }
}

fn number_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    name.strip_prefix("journal-")?
        .strip_suffix(".log")?
        .parse()
        .ok()
}

fn read_part(path: &Path, from: u64, to: u64) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(to.saturating_sub(from)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn length_of(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
