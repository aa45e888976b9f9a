//! Reading a journal from its front, past whatever is damaged in it.

use std::fmt::Display;

use ports::journal::{JournalEntry, JournalError, JournalMark};

use super::record::{self, Found};
use super::segments::Segments;
use super::{entry, failed, salvage};

/// How much of a segment is read at once; several times the longest record.
const READ_AT_ONCE: u64 = 4 * 1024 * 1024;

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
        let mut given = 0_u64;
        for place in 0..self.parts.len() {
            let Some((number, length)) = self.parts.get(place).map(|it| (it.number, it.bytes))
            else {
                break;
            };
            let from = if place == 0 { self.front } else { 0 };
            let to = length.min(from.saturating_add(READ_AT_ONCE));
            let bytes = match salvage::read(&self.path(number), from, to) {
                Ok(salvaged) => salvaged.bytes,
                Err(error) if entries.is_empty() => return Err(failed(error)),
                // The next reading begins with this one.
                Err(_) => break,
            };
            mark = JournalMark {
                segment: number,
                offset: from,
            };
            given = 0;
            let mut rest = bytes.as_slice();
            while entries.len() < max {
                let taken = match record::read(rest) {
                    Found::End => break,
                    Found::Record(payload, taken) => {
                        given = given.saturating_add(1);
                        match entry::decode(payload) {
                            Ok(entry) => entries.push(entry),
                            Err(error) => self.found_damage(place, mark.offset, taken, &error),
                        }
                        taken
                    }
                    // The record goes on where this reading ends.
                    Found::Damage(_) if to < length && mark.offset > from => break,
                    Found::Damage(taken) => {
                        // In its last bytes a record may begin that goes on there.
                        let cut = to < length && taken == rest.len();
                        let reach = if cut { record::LENGTH_MAX } else { 0 };
                        let taken = taken.saturating_sub(reach).max(1);
                        self.found_damage(place, mark.offset, taken, &"it cannot be read");
                        taken
                    }
                };
                rest = rest.get(taken..).unwrap_or_default();
                mark.offset = mark.offset.saturating_add(whole(taken));
            }
            if entries.len() >= max || mark.offset < length {
                break;
            }
        }
        self.read_to = (mark, given);
        Ok((entries, mark))
    }

    /// Notes a damaged place, once however often it is read.
    fn found_damage(&mut self, place: usize, at: u64, length: usize, why: &dyn Display) {
        let Some(segment) = self.parts.get_mut(place) else {
            return;
        };
        if at < segment.checked {
            return;
        }
        segment.checked = at.saturating_add(whole(length));
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
            "a part of the journal is damaged, and reports in it are lost; the file is set aside"
        );
    }
}

fn whole(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
