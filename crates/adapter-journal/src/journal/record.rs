//! The record format, and how a reader resynchronises in a damaged file.
//!
//! A record is a four-byte magic number, the length and the CRC-32 of its payload (little endian,
//! four bytes each), and the payload. The magic number lets a reader find the next record after
//! damaged bytes; the CRC detects damage.

/// Starts every record. Not valid UTF-8, so no payload contains it.
const MAGIC: [u8; 4] = [0xff, b'R', b'C', 0xfe];

/// Magic number, length and checksum.
const HEADER_BYTES: usize = 12;

/// The longest payload; a greater length is damage.
const MAX_PAYLOAD_BYTES: usize = 1024 * 1024;

/// The longest record.
pub(super) const MAX_RECORD_BYTES: usize = HEADER_BYTES + MAX_PAYLOAD_BYTES;

/// Appends a record to a buffer. Returns `false`, and appends nothing, if the payload is too
/// long.
pub(super) fn write(buffer: &mut Vec<u8>, payload: &[u8]) -> bool {
    let Some(length) = u32::try_from(payload.len())
        .ok()
        .filter(|_| payload.len() <= MAX_PAYLOAD_BYTES)
    else {
        return false;
    };
    buffer.extend_from_slice(&MAGIC);
    buffer.extend_from_slice(&length.to_le_bytes());
    buffer.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
    buffer.extend_from_slice(payload);
    true
}

/// The outcome of [`read`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RecordRead<'a> {
    /// A valid record: its payload and the length of the whole record.
    Record(&'a [u8], usize),
    /// This many bytes that are not a record; a record or the end follows.
    Damage(usize),
    /// The input is empty.
    End,
}

/// Reads the record, or the damage, at the beginning of `bytes`.
pub(super) fn read(bytes: &[u8]) -> RecordRead<'_> {
    if bytes.is_empty() {
        return RecordRead::End;
    }
    if let Some((payload, length)) = valid_record(bytes) {
        return RecordRead::Record(payload, length);
    }
    // The length of a damaged record cannot be trusted: the next valid record may begin within
    // the bytes that it claims.
    let next = (1..bytes.len()).find(|at| {
        bytes
            .get(*at..)
            .is_some_and(|rest| rest.starts_with(&MAGIC) && valid_record(rest).is_some())
    });
    RecordRead::Damage(next.unwrap_or(bytes.len()))
}

fn valid_record(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let rest = bytes.strip_prefix(&MAGIC)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (checksum, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let payload = rest.get(..length).filter(|_| length <= MAX_PAYLOAD_BYTES)?;
    let good = crc32fast::hash(payload) == u32::from_le_bytes(*checksum);
    good.then_some((payload, HEADER_BYTES + length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut buffer = Vec::new();
        assert!(payloads.iter().all(|payload| write(&mut buffer, payload)));
        buffer
    }

    fn records(mut bytes: &[u8]) -> (Vec<Vec<u8>>, usize) {
        let (mut found, mut damaged) = (Vec::new(), 0);
        loop {
            let length = match read(bytes) {
                RecordRead::Record(payload, length) => {
                    found.push(payload.to_vec());
                    length
                }
                RecordRead::Damage(length) => {
                    damaged += length;
                    length
                }
                RecordRead::End => return (found, damaged),
            };
            bytes = &bytes[length..];
        }
    }

    proptest! {
        #[test]
        fn written_records_are_read_back(payloads in proptest::collection::vec(any::<Vec<u8>>(), 0..6)) {
            prop_assert_eq!(records(&file(&payloads)), (payloads, 0));
        }

        #[test]
        fn arbitrary_bytes_are_damage_and_never_panic(bytes: Vec<u8>) {
            let (found, damaged) = records(&bytes);
            prop_assert!(found.is_empty() && damaged == bytes.len());
        }

        #[test]
        fn flipped_byte_loses_only_its_record(
            payloads in proptest::collection::vec("[a-z]{1,40}".prop_map(String::into_bytes), 1..6),
            at: prop::sample::Index,
            flip in 1u8..,
        ) {
            let mut bytes = file(&payloads);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            let (found, damaged) = records(&bytes);
            prop_assert_eq!(found.len(), payloads.len() - 1);
            prop_assert!(damaged > 0 && found.iter().all(|payload| payloads.contains(payload)));
        }

        #[test]
        fn truncation_loses_only_the_records_after_it(
            payloads in proptest::collection::vec("[a-z]{1,40}".prop_map(String::into_bytes), 1..6),
            cut: prop::sample::Index,
        ) {
            let bytes = file(&payloads);
            let (found, _) = records(&bytes[..cut.index(bytes.len())]);
            prop_assert!(payloads.starts_with(&found));
        }
    }
}
