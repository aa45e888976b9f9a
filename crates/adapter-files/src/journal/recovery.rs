//! What an earlier process has left in the folder of a journal.

use std::fs;
use std::io;
use std::path::Path;

use super::record::{self, Found};
use super::segments::{Segment, Segments, length_of};
use super::{entry, salvage};
use crate::files;

impl Segments {
    /// Reads what an earlier process has left. New entries go to a new segment.
    pub(super) fn recover(&mut self) -> io::Result<()> {
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
        let length = fs::metadata(&path)?.len();
        let salvage::Salvaged { bytes, whole } = salvage::read(&path, 0, length)?;
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
                        self.damaged = self.damaged.saturating_add(1);
                    }
                    at = at.saturating_add(length);
                }
                Found::Damage(length) => {
                    at = at.saturating_add(length);
                    // At the end it is what a crash left of an append that was
                    // never answered; anywhere else it is damage.
                    torn = at >= bytes.len() && whole;
                    if !torn {
                        damaged = damaged.saturating_add(length);
                        self.damaged = self.damaged.saturating_add(1);
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
        let (mut length, mut checked) = (length, 0);
        if good.len() < bytes.len() {
            match files::replace(&path, &good) {
                Ok(()) => length = length_of(&good),
                // As on a full disk. Whoever reads it passes over what is no record.
                Err(error) => {
                    // What is damaged in it was told of.
                    checked = length;
                    tracing::warn!(segment = %path.display(), %error, "a part of the journal is used as it is");
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

    /// Keeps a copy of a damaged segment for people to look at. `false` if there
    /// is no room for one.
    fn set_segment_aside(&mut self, path: &Path, damaged: usize) -> bool {
        self.set_aside = self.set_aside.saturating_add(1);
        match files::keep_copy(path) {
            Ok(copy) => {
                tracing::error!(
                    segment = %copy.display(),
                    bytes = damaged,
                    "a part of the journal is damaged; a copy was set aside, the rest is used"
                );
                true
            }
            Err(error) => {
                tracing::error!(
                    segment = %path.display(),
                    bytes = damaged,
                    %error,
                    "a part of the journal is damaged, and no copy could be made; the rest is used"
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
