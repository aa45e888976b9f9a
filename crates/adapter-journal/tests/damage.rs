//! Segments that are damaged or deleted while the journal is open.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::fs::{self, OpenOptions};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use adapter_journal::FileJournal;
use domain::IntegratorName;
use ports::Journal as _;
use ports::journal::{JournalEntry, JournalError, Refusal};
use testkit::builders::{report, twilio_sid};

const ROOMY: u64 = 1 << 30;

fn entries(numbers: std::ops::Range<u64>) -> Vec<JournalEntry> {
    let entry = |number| JournalEntry {
        integrator: IntegratorName::parse("twilio").unwrap(),
        report: report(&twilio_sid(number)).build(),
    };
    numbers.map(entry).collect()
}

fn files(folder: &Path, kind: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    let mut files: Vec<_> = all
        .filter(|path| path.extension().is_some_and(|it| it == kind))
        .collect();
    files.sort();
    files
}

/// A journal with two segments, of nine and of three entries, and the path of the first.
async fn two_segments(folder: &Path) -> (FileJournal, PathBuf) {
    let journal = FileJournal::open(folder, ROOMY).unwrap();
    journal.append(&entries(0..9)).await.unwrap();
    drop(journal);
    let journal = FileJournal::open(folder, ROOMY).unwrap();
    journal.append(&entries(9..12)).await.unwrap();
    let [first, _second] = &files(folder, "log")[..] else {
        panic!("two segments")
    };
    let first = first.clone();
    (journal, first)
}

/// Reads and removes all entries, a few at a time, in a bounded number of steps.
async fn drain(journal: &FileJournal) -> Vec<JournalEntry> {
    let mut given = Vec::new();
    for _ in 0..10 {
        let (some, mark) = journal.oldest(4).await.unwrap();
        given.extend(some);
        journal.remove(mark).await.unwrap();
        if journal.usage().entries == 0 {
            return given;
        }
    }
    panic!("it is not empty after ten steps: {:?}", journal.usage());
}

fn assert_damage_is_reported(journal: &FileJournal) {
    let usage = journal.usage();
    assert_eq!((usage.damaged, usage.set_aside), (1, 1));
    assert_eq!((usage.entries, usage.bytes), (0, 0));
}

#[tokio::test]
async fn truncated_segment_is_read_up_to_its_end_and_blocks_nothing() {
    for entries_left in 0..9 {
        let folder = tempfile::tempdir().unwrap();
        let (journal, first) = two_segments(folder.path()).await;
        let length = fs::metadata(&first).unwrap().len();
        let file = OpenOptions::new().write(true).open(&first).unwrap();
        file.set_len(length * entries_left / 9 + 5).unwrap();
        let expected = [entries(0..entries_left), entries(9..12)].concat();
        assert_eq!(drain(&journal).await, expected);
        assert_damage_is_reported(&journal);
        assert_eq!(files(folder.path(), "damaged").len(), 1);
        assert_eq!(files(folder.path(), "log"), Vec::<PathBuf>::new());
    }
}

#[tokio::test]
async fn deleted_segment_blocks_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, first) = two_segments(folder.path()).await;
    fs::remove_file(first).unwrap();
    assert_eq!(drain(&journal).await, entries(9..12));
    assert_damage_is_reported(&journal);
}

#[tokio::test]
async fn deleted_file_is_not_appended_to() {
    let folder = tempfile::tempdir().unwrap();
    let journal = FileJournal::open(folder.path(), ROOMY).unwrap();
    journal.append(&entries(0..3)).await.unwrap();
    fs::remove_file(&files(folder.path(), "log")[0]).unwrap();
    journal.append(&entries(3..6)).await.unwrap();
    assert_eq!(drain(&journal).await, entries(3..6));
    journal.append(&entries(6..7)).await.unwrap();
    drop(journal);
    let journal = FileJournal::open(folder.path(), ROOMY).unwrap();
    assert_eq!(drain(&journal).await, entries(6..7));
}

#[tokio::test]
async fn segment_damaged_after_opening_is_set_aside_once_read() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, first) = two_segments(folder.path()).await;
    let mut bytes = fs::read(&first).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8].fill(0);
    fs::write(&first, &bytes).unwrap();
    // Reading it twice reports it once.
    journal.oldest(100).await.unwrap();
    assert_eq!(drain(&journal).await.len(), 11);
    assert_damage_is_reported(&journal);
    let [kept] = &files(folder.path(), "damaged")[..] else {
        panic!("one copy")
    };
    assert_eq!(fs::read(kept).unwrap(), bytes);
}

#[tokio::test]
async fn undecodable_entry_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, first) = two_segments(folder.path()).await;
    // A valid record that another version may have written.
    let payload = br#"{"integrator":"twilio"}"#;
    let mut record = vec![0xff, b'R', b'C', 0xfe];
    record.extend(u32::try_from(payload.len()).unwrap().to_le_bytes());
    record.extend(crc32fast::hash(payload).to_le_bytes());
    record.extend(payload);
    let mut bytes = fs::read(&first).unwrap();
    let length = bytes.len();
    bytes.truncate(length - record.len());
    bytes.extend(record);
    fs::write(&first, bytes).unwrap();
    let given = drain(&journal).await;
    assert_eq!(given, [entries(0..8), entries(9..12)].concat());
    assert_eq!(journal.usage().set_aside, 1);
    assert_eq!(files(folder.path(), "damaged").len(), 1);
}

#[tokio::test]
async fn failing_disk_is_reported_until_an_append_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let journal = FileJournal::open(folder.path(), ROOMY).unwrap();
    let refusal = || journal.usage().refusing.map(|refusing| refusing.why);
    fs::create_dir(at("journal-00000000000000000001.log")).unwrap();
    let failed = journal.append(&entries(0..1)).await;
    assert!(matches!(failed, Err(JournalError::Failed(_))));
    assert_eq!(refusal(), Some(Refusal::Failed));
    symlink("/dev/full", at("journal-00000000000000000002.log")).unwrap();
    let full = journal.append(&entries(0..1)).await;
    assert!(matches!(full, Err(JournalError::Full)));
    assert_eq!(refusal(), Some(Refusal::Full));
    assert!(journal.usage().bytes < ROOMY);
    // A probe without entries leaves nothing behind.
    symlink("/dev/full", at("probe")).unwrap();
    assert!(matches!(journal.append(&[]).await, Err(JournalError::Full)));
    assert_eq!(refusal(), Some(Refusal::Full));
    journal.append(&[]).await.unwrap();
    assert_eq!(refusal(), None);
    assert!(!at("probe").exists());
    assert_eq!(journal.usage().entries, 0);
}
