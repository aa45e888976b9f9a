//! The bytes of one record, and how records are found again in a damaged file.
//!
//! A record is a mark of four bytes, the length and the CRC-32 of its payload
//! (little endian, four bytes each), and the payload. The mark lets a reader
//! find the next record behind damaged bytes; the CRC says which bytes are
//! damaged.

/// Begins every record. Not valid UTF-8, so no payload holds it.
const MARK: [u8; 4] = [0xff, b'R', b'C', 0xfe];

/// Mark, length and checksum.
const HEAD: usize = 12;

/// No payload is longer: a length beyond it is damage.
const PAYLOAD_MAX: usize = 1024 * 1024;

/// No record is longer.
pub(super) const LENGTH_MAX: usize = HEAD + PAYLOAD_MAX;

/// Adds a record to a buffer. `false` if the payload is too long to be one.
pub(super) fn write(buffer: &mut Vec<u8>, payload: &[u8]) -> bool {
    let Some(length) = u32::try_from(payload.len())
        .ok()
        .filter(|_| payload.len() <= PAYLOAD_MAX)
    else {
        return false;
    };
    buffer.extend_from_slice(&MARK);
    buffer.extend_from_slice(&length.to_le_bytes());
    buffer.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
    buffer.extend_from_slice(payload);
    true
}

/// What stands at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A whole record: its payload, and how many bytes it takes.
    Record(&'a [u8], usize),
    /// This many bytes that are no record; behind them one begins, or the end.
    Damage(usize),
    /// Nothing: these are no bytes at all.
    End,
}

/// Looks at what stands at the beginning of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Found<'_> {
    if bytes.is_empty() {
        return Found::End;
    }
    if let Some((payload, length)) = whole(bytes) {
        return Found::Record(payload, length);
    }
    // Behind a mark that leads to nothing the next whole record may begin
    // anywhere, even within what the damaged length claims.
    let next = (1..bytes.len()).find(|at| {
        bytes
            .get(*at..)
            .is_some_and(|rest| rest.starts_with(&MARK) && whole(rest).is_some())
    });
    Found::Damage(next.unwrap_or(bytes.len()))
}

fn whole(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let rest = bytes.strip_prefix(&MARK)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (checksum, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let payload = rest.get(..length).filter(|_| length <= PAYLOAD_MAX)?;
    let good = crc32fast::hash(payload) == u32::from_le_bytes(*checksum);
    good.then_some((payload, HEAD + length))
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
                Found::Record(payload, length) => {
                    found.push(payload.to_vec());
                    length
                }
                Found::Damage(length) => {
                    damaged += length;
                    length
                }
                Found::End => return (found, damaged),
            };
            bytes = &bytes[length..];
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(payloads in proptest::collection::vec(any::<Vec<u8>>(), 0..6)) {
            prop_assert_eq!(records(&file(&payloads)), (payloads, 0));
        }

        #[test]
        fn bytes_that_are_no_records_are_damage_and_never_a_panic(bytes: Vec<u8>) {
            let (found, damaged) = records(&bytes);
            prop_assert!(found.is_empty() && damaged == bytes.len());
        }

        #[test]
        fn a_flipped_byte_costs_one_record_only(
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
        fn a_cut_costs_what_is_behind_it_only(
            payloads in proptest::collection::vec("[a-z]{1,40}".prop_map(String::into_bytes), 1..6),
            cut: prop::sample::Index,
        ) {
            let bytes = file(&payloads);
            let (found, _) = records(&bytes[..cut.index(bytes.len())]);
            prop_assert!(payloads.starts_with(&found));
        }
    }
}
