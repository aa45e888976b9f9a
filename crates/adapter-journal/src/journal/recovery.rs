//! Recovering the segments that an earlier process left in the folder.

use std::fs;
use std::io;
use std::path::Path;

use super::record::{self, RecordRead};
use super::segments::{Segment, Segments, length_of};
use super::{entry, salvage};
use crate::files;

impl Segments {
    /// Reads all existing segments. New entries will go to a new segment.
    pub(super) fn recover(&mut self) -> io::Result<()> {
        let mut numbers: Vec<u64> = Vec::new();
        for file in fs::read_dir(&self.folder)? {
            numbers.extend(number_of(&file?.path()));
        }
        numbers.sort_unstable();
        for number in numbers {
            self.next_number = number.saturating_add(1);
            // An unreadable segment must not make the others inaccessible.
            match self.recover_segment(number) {
                Ok(Some(segment)) => self.files.push_back(segment),
                Ok(None) => {}
                Err(error) => {
                    self.set_aside = self.set_aside.saturating_add(1);
                    tracing::error!(segment = %self.path(number).display(), %error, "journal segment cannot be read; it is left in place");
                }
            }
        }
        let usage = self.usage();
        if usage.entries > 0 {
            tracing::warn!(
                entries = usage.entries,
                "the journal contains reports that are not in the store yet; replaying them"
            );
        }
        Ok(())
    }

    fn recover_segment(&mut self, number: u64) -> io::Result<Option<Segment>> {
        let path = self.path(number);
        let length = fs::metadata(&path)?.len();
        let salvage::Salvaged { bytes, whole } = salvage::read(&path, 0, length)?;
        let (mut good, mut entries, mut damaged, mut at) = (Vec::new(), 0_u64, 0_usize, 0_usize);
        let mut torn = false;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            match record::read(rest) {
                RecordRead::End => break,
                RecordRead::Record(payload, length) => {
                    if entry::decode(payload).is_ok() {
                        entries = entries.saturating_add(1);
                        good.extend_from_slice(rest.get(..length).unwrap_or_default());
                    } else {
                        damaged = damaged.saturating_add(length);
                        self.damaged = self.damaged.saturating_add(1);
                    }
                    at = at.saturating_add(length);
                }
                RecordRead::Damage(length) => {
                    at = at.saturating_add(length);
                    // At the end of the file it is an append that a crash interrupted and that was
                    // never acknowledged; anywhere else it is damage.
                    torn = at >= bytes.len() && whole;
                    if !torn {
                        damaged = damaged.saturating_add(length);
                        self.damaged = self.damaged.saturating_add(1);
                    }
                }
            }
        }
        if torn && damaged == 0 {
            tracing::warn!(segment = %path.display(), bytes = bytes.len().saturating_sub(good.len()), "truncated an incomplete append at the end of the journal");
        }
        let set_aside = damaged == 0 || self.set_segment_aside(&path, damaged);
        if entries == 0 {
            // If no copy could be made, this file is the only evidence.
            if set_aside {
                fs::remove_file(&path)?;
            }
            return Ok(None);
        }
        let (mut length, mut checked) = (length, 0);
        if good.len() < bytes.len() {
            match files::replace(&path, &good) {
                Ok(()) => length = length_of(&good),
                // For example on a full disk. Readers skip the damaged bytes.
                Err(error) => {
                    // The damage was already logged.
                    checked = length;
                    tracing::warn!(segment = %path.display(), %error, "damaged journal segment cannot be rewritten; it is read as it is");
                }
            }
        }
        Ok(Some(Segment {
            number,
            bytes: length,
            entries,
            keep: !set_aside,
            checked,
        }))
    }

    /// Copies a damaged segment for later inspection. Returns `false` if it could not be
    /// copied.
    fn set_segment_aside(&mut self, path: &Path, damaged: usize) -> bool {
        self.set_aside = self.set_aside.saturating_add(1);
        match files::keep_copy(path) {
            Ok(copy) => {
                tracing::error!(
                    segment = %copy.display(),
                    bytes = damaged,
                    "journal segment damaged: a copy was kept as *.damaged; undamaged records are used"
                );
                true
            }
            Err(error) => {
                tracing::error!(
                    segment = %path.display(),
                    bytes = damaged,
                    %error,
                    "journal segment damaged and no copy could be made; undamaged records are used"
                );
                false
            }
        }
    }
}

fn number_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    name.strip_prefix("journal-")?
        .strip_suffix(".log")?
        .parse()
        .ok()
}
