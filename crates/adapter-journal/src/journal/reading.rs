//! Reading the journal from its front, skipping damaged bytes.

use std::fmt::Display;

use ports::journal::{JournalEntry, JournalError, JournalMark};

use super::record::{self, RecordRead};
use super::segments::Segments;
use super::{entry, failed, salvage};

/// How many bytes of a segment are read at once; several times the longest record.
const MAX_READ_BYTES: u64 = 4 * 1024 * 1024;

impl Segments {
    pub(super) fn oldest(
        &mut self,
        max: usize,
    ) -> Result<(Vec<JournalEntry>, JournalMark), JournalError> {
        let mut entries = Vec::new();
        let mut mark = JournalMark {
            segment: 0,
            offset: 0,
        };
        let mut returned = 0_u64;
        for index in 0..self.files.len() {
            let Some((number, length)) = self.files.get(index).map(|it| (it.number, it.bytes))
            else {
                break;
            };
            let from = if index == 0 { self.front } else { 0 };
            let to = length.min(from.saturating_add(MAX_READ_BYTES));
            let bytes = match salvage::read(&self.path(number), from, to) {
                Ok(salvaged) => salvaged.bytes,
                Err(error) if entries.is_empty() => return Err(failed(error)),
                // The next call starts with this segment.
                Err(_) => break,
            };
            mark = JournalMark {
                segment: number,
                offset: from,
            };
            returned = 0;
            let mut rest = bytes.as_slice();
            while entries.len() < max {
                let taken = match record::read(rest) {
                    RecordRead::End => break,
                    RecordRead::Record(payload, taken) => {
                        returned = returned.saturating_add(1);
                        match entry::decode(payload) {
                            Ok(entry) => entries.push(entry),
                            Err(error) => self.note_damage(index, mark.offset, taken, &error),
                        }
                        taken
                    }
                    // Not damage: the record extends beyond the bytes that were read.
                    RecordRead::Damage(_) if to < length && mark.offset > from => break,
                    RecordRead::Damage(taken) => {
                        // A record may begin in the last bytes and extend beyond them.
                        let cut = to < length && taken == rest.len();
                        let reach = if cut { record::MAX_RECORD_BYTES } else { 0 };
                        let taken = taken.saturating_sub(reach).max(1);
                        self.note_damage(index, mark.offset, taken, &"not a record");
                        taken
                    }
                };
                rest = rest.get(taken..).unwrap_or_default();
                mark.offset = mark.offset.saturating_add(to_u64(taken));
            }
            if entries.len() >= max || mark.offset < length {
                break;
            }
        }
        self.read_to = (mark, returned);
        Ok((entries, mark))
    }

    /// Counts and logs damage at an offset, once even if it is read repeatedly.
    fn note_damage(&mut self, index: usize, at: u64, length: usize, why: &dyn Display) {
        let Some(segment) = self.files.get_mut(index) else {
            return;
        };
        if at < segment.checked {
            return;
        }
        segment.checked = at.saturating_add(to_u64(length));
        self.damaged = self.damaged.saturating_add(1);
        if !segment.keep {
            segment.keep = true;
            self.set_aside = self.set_aside.saturating_add(1);
        }
        tracing::error!(
            segment = segment.number,
            offset = at,
            bytes = length,
            error = %why,
            "journal segment damaged: the reports in these bytes are lost; the file will be kept as *.damaged"
        );
    }
}

fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
