//! Reading a file from a failing disk: unreadable blocks are skipped.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// `EIO`: the disk cannot read a block. (It has no `ErrorKind`.)
const EIO: i32 = 5;

/// The unit in which unreadable places are skipped.
const BLOCK: u64 = 4096;

/// The requested bytes of a file. Unreadable bytes are zeros, which are never part of a record's
/// header.
pub(super) struct Salvaged {
    pub(super) bytes: Vec<u8>,
    /// Whether every byte could be read.
    pub(super) whole: bool,
}

/// Reads bytes `from..to` of a file. Missing and unreadable bytes become zeros. Returns an error
/// only if a later attempt could succeed.
pub(super) fn read(path: &Path, from: u64, to: u64) -> io::Result<Salvaged> {
    match File::open(path) {
        Ok(file) => salvage(|buffer, at| file.read_at(buffer, at), from, to),
        Err(error) if is_lost(&error) => salvage(|_, _| Ok(0), from, to),
        Err(error) => Err(error),
    }
}

fn salvage(
    read_at: impl Fn(&mut [u8], u64) -> io::Result<usize>,
    from: u64,
    to: u64,
) -> io::Result<Salvaged> {
    let length = usize::try_from(to.saturating_sub(from)).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    let (mut at, mut skip, mut whole) = (from, BLOCK, true);
    while at < to {
        let done = usize::try_from(at - from).map_err(io::Error::other)?;
        match read_at(bytes.get_mut(done..).unwrap_or_default(), at) {
            Ok(0) => {
                whole = false;
                break;
            }
            Ok(read) => {
                at = at.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
                skip = BLOCK;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if is_lost(&error) => {
                whole = false;
                // Each attempt can take seconds on a failing disk: double the skip each time.
                at = (at / BLOCK).saturating_mul(BLOCK).saturating_add(skip);
                skip = skip.saturating_mul(2);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Salvaged { bytes, whole })
}

/// Returns whether a retry is useless.
fn is_lost(error: &io::Error) -> bool {
    let gone = [
        ErrorKind::NotFound,
        ErrorKind::IsADirectory,
        ErrorKind::NotADirectory,
        ErrorKind::StaleNetworkFileHandle,
    ];
    gone.contains(&error.kind()) || error.raw_os_error() == Some(EIO)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: u64 = 40 * BLOCK;

    fn read_except(bad: &[u64], from: u64) -> Salvaged {
        let file = (0..LENGTH).map(|at| u8::try_from(at / BLOCK).unwrap() + 1);
        let file: Vec<u8> = file.collect();
        let read_at = |buffer: &mut [u8], at: u64| {
            let good = (at / BLOCK..LENGTH / BLOCK).take_while(|block| !bad.contains(block));
            let end = good.last().map_or(at, |block| (block + 1) * BLOCK);
            if at == end && at < LENGTH {
                return Err(io::Error::from_raw_os_error(EIO));
            }
            let read = &file[usize::try_from(at).unwrap()..usize::try_from(end).unwrap()];
            let length = read.len().min(buffer.len());
            buffer[..length].copy_from_slice(&read[..length]);
            Ok(length)
        };
        salvage(read_at, from, LENGTH).unwrap()
    }

    fn blocks(salvaged: &Salvaged) -> Vec<u8> {
        let block = usize::try_from(BLOCK).unwrap();
        salvaged.bytes.chunks(block).map(|it| it[0]).collect()
    }

    #[test]
    fn unreadable_block_loses_no_other_block() {
        let salvaged = read_except(&[7, 20], 0);
        assert!(!salvaged.whole);
        let expected = (0..40).map(|n| if n == 7 || n == 20 { 0 } else { n + 1 });
        assert_eq!(blocks(&salvaged), expected.collect::<Vec<u8>>());
    }

    #[test]
    fn reading_can_start_within_an_unreadable_block() {
        let salvaged = read_except(&[3], 3 * BLOCK + 100);
        let end = usize::try_from(BLOCK - 100).unwrap();
        assert!(salvaged.bytes[..end].iter().all(|byte| *byte == 0));
        assert_eq!(salvaged.bytes[end], 5);
    }

    #[test]
    fn dead_disk_is_not_read_block_by_block() {
        let reads = std::cell::Cell::new(0);
        let read_at = |_: &mut [u8], _| {
            reads.set(reads.get() + 1);
            Err(io::Error::from_raw_os_error(EIO))
        };
        let salvaged = salvage(read_at, 0, 4096 * BLOCK).unwrap();
        assert!(!salvaged.whole && salvaged.bytes.len() == 4096 * 4096);
        assert!(reads.get() < 20, "read {} times", reads.get());
    }

    #[test]
    fn retryable_failure_is_an_error() {
        let denied = |_: &mut [u8], _| Err(ErrorKind::PermissionDenied.into());
        assert!(salvage(denied, 0, BLOCK).is_err());
    }
}
