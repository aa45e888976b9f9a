//! The journal on a real disk: the contract suite and file-specific behaviour.

#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use adapter_journal::FileJournal;
use adapter_journal::journal::OpenError;
use domain::IntegratorName;
use ports::Journal;
use ports::journal::{JournalEntry, JournalError};
use testkit::builders::{report, twilio_sid};
use testkit::contract::Fresh;
use testkit::contract::journal::JournalPlace;

/// A folder with a journal.
#[derive(Clone)]
struct Folder(PathBuf);

impl JournalPlace for Folder {
    fn open(&self, capacity: u64) -> Arc<dyn Journal> {
        Arc::new(FileJournal::open(&self.0, capacity).unwrap())
    }
}

#[expect(clippy::unused_async, reason = "other journals take time to make")]
async fn fresh() -> Fresh<Folder> {
    let kept = tempfile::tempdir().unwrap();
    let folder = Folder(kept.path().to_owned());
    Fresh::new(folder.clone(), folder, kept)
}

testkit::contract_tests!(journal, fresh);

const ROOMY: u64 = 1 << 30;

fn entries(numbers: std::ops::Range<u64>) -> Vec<JournalEntry> {
    let integrator = IntegratorName::parse("twilio").unwrap();
    let entry = |number| JournalEntry {
        integrator: integrator.clone(),
        report: report(&twilio_sid(number))
            .status("undelivered")
            .error_with_text("63016", "outside the wïndow")
            .at(1_795_370_777_123_456)
            .token("token")
            .build(),
    };
    numbers.map(entry).collect()
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
        .collect();
    files.sort();
    files
}

async fn all(journal: &FileJournal) -> Vec<JournalEntry> {
    journal.oldest(usize::MAX).await.unwrap().0
}

#[tokio::test]
async fn empty_journal_has_no_segments() {
    let folder = tempfile::tempdir().unwrap();
    let journal = FileJournal::open(folder.path(), ROOMY).unwrap();
    journal.append(&entries(0..3)).await.unwrap();
    assert_eq!(segments(folder.path()).len(), 1);
    let (_, mark) = journal.oldest(100).await.unwrap();
    journal.remove(mark).await.unwrap();
    assert_eq!(segments(folder.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn segments_are_read_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let journal = FileJournal::open(folder.path(), ROOMY).unwrap();
    let total = 60_000;
    for start in (0..total).step_by(2_000) {
        journal
            .append(&entries(start..start + 2_000))
            .await
            .unwrap();
    }
    assert!(segments(folder.path()).len() > 1);
    let mut next = 0;
    while journal.usage().entries > 0 {
        let (some, mark) = journal.oldest(7_000).await.unwrap();
        assert!(!some.is_empty());
        let count = some.len() as u64;
        assert_eq!(some, entries(next..next + count));
        next += count;
        journal.remove(mark).await.unwrap();
        assert_eq!(journal.usage().entries, total - next);
    }
    assert_eq!(next, total);
}

#[tokio::test]
async fn incomplete_append_is_truncated() {
    let folder = tempfile::tempdir().unwrap();
    FileJournal::open(folder.path(), ROOMY)
        .unwrap()
        .append(&entries(0..3))
        .await
        .unwrap();
    let segment = &segments(folder.path())[0];
    let length = fs::metadata(segment).unwrap().len();
    OpenOptions::new()
        .write(true)
        .open(segment)
        .unwrap()
        .set_len(length - 7)
        .unwrap();

    let journal = FileJournal::open(folder.path(), ROOMY).unwrap();
    assert_eq!(all(&journal).await, entries(0..2));
    assert_eq!(journal.usage().set_aside, 0);
}

/// Records nine entries and overwrites one of them with zeros.
async fn damaged_segment(folder: &Path) -> PathBuf {
    FileJournal::open(folder, ROOMY)
        .unwrap()
        .append(&entries(0..9))
        .await
        .unwrap();
    let segment = segments(folder).remove(0);
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes.get_mut(middle..middle + 8).unwrap().fill(0);
    fs::write(&segment, bytes).unwrap();
    segment
}

#[tokio::test]
async fn damaged_segment_is_set_aside_and_the_others_are_used() {
    let folder = tempfile::tempdir().unwrap();
    damaged_segment(folder.path()).await;

    let journal = FileJournal::open(folder.path(), ROOMY).unwrap();
    let kept = all(&journal).await;
    assert_eq!(kept.len(), 8);
    assert!(kept.iter().all(|entry| entries(0..9).contains(entry)));
    assert_eq!(journal.usage().set_aside, 1);
    drop(journal);
    // Only the copy is damaged; the journal is intact again.
    let journal = FileJournal::open(folder.path(), ROOMY).unwrap();
    assert_eq!((all(&journal).await, journal.usage().set_aside), (kept, 0));
}

#[tokio::test]
async fn damaged_segment_is_read_as_it_is_on_a_read_only_disk() {
    let folder = tempfile::tempdir().unwrap();
    let segment = damaged_segment(folder.path()).await;
    // As on a full disk, neither the copy nor the repaired segment can be written.
    fs::create_dir(segment.with_extension("damaged")).unwrap();
    fs::create_dir(segment.with_extension("damaged2")).unwrap();
    fs::create_dir(segment.with_extension("new")).unwrap();

    let journal = FileJournal::open(folder.path(), ROOMY).unwrap();
    assert_eq!(journal.usage().set_aside, 1);
    let (kept, mark) = journal.oldest(100).await.unwrap();
    assert_eq!(kept.len(), 8);
    journal.remove(mark).await.unwrap();
    assert_eq!((journal.usage().entries, journal.usage().bytes), (0, 0));
}

#[tokio::test]
async fn failed_append_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let journal = FileJournal::open(folder.path(), ROOMY).unwrap();
    for number in 1..=3 {
        let segment = folder.path().join(format!("journal-{number:020}.log"));
        std::os::unix::fs::symlink("/dev/full", segment).unwrap();
        assert!(matches!(
            journal.append(&entries(0..1)).await,
            Err(JournalError::Full)
        ));
    }
    assert_eq!(segments(folder.path()), Vec::<PathBuf>::new());
    journal.append(&entries(0..1)).await.unwrap();
    assert_eq!(all(&journal).await, entries(0..1));
}

#[tokio::test]
async fn foreign_files_in_the_folder_do_not_prevent_opening() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("journal-00000000000000000007.log"),
        b"rubbish",
    )
    .unwrap();
    fs::write(folder.path().join("journal-x.log"), b"rubbish").unwrap();
    fs::create_dir(folder.path().join("journal-00000000000000000009.log")).unwrap();
    let journal = FileJournal::open(folder.path(), ROOMY).unwrap();
    assert_eq!(journal.usage().set_aside, 1);
    journal.append(&entries(0..1)).await.unwrap();
    assert_eq!(all(&journal).await, entries(0..1));
}

#[tokio::test]
async fn journal_is_locked_by_one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let journal = FileJournal::open(folder.path(), ROOMY).unwrap();
    assert!(matches!(
        FileJournal::open(folder.path(), ROOMY),
        Err(OpenError::InUse)
    ));
    drop(journal);
    assert!(FileJournal::open(folder.path(), ROOMY).is_ok());
}
