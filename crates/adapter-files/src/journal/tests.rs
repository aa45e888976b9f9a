//! A disk that does not answer: whoever holds the segments stands for it.

use std::future::poll_fn;
use std::task::Poll;

use domain::IntegratorName;
use testkit::builders::{report, twilio_sid};

use super::*;

const HASTY: Duration = Duration::from_millis(100);

fn entries(numbers: std::ops::Range<u64>) -> Vec<JournalEntry> {
    let entry = |number| JournalEntry {
        integrator: IntegratorName::parse("twilio").unwrap(),
        report: report(&twilio_sid(number)).build(),
    };
    numbers.map(entry).collect()
}

fn open(folder: &Path) -> FileJournal {
    FileJournal::open(folder, 1 << 30).unwrap()
}

/// The same journal for somebody who does not wait long.
fn hasty(journal: &FileJournal) -> FileJournal {
    FileJournal {
        patience: HASTY,
        ..journal.clone()
    }
}

#[tokio::test]
async fn an_append_that_the_disk_does_not_end_is_given_up_and_the_next_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    journal.append(&entries(0..1)).await.unwrap();
    let stalled = Arc::clone(&journal.segments).lock_owned().await;
    let began = Instant::now();
    let refused = hasty(&journal).append(&entries(1..2)).await;
    assert!(matches!(refused, Err(JournalError::TooSlow)));
    assert!(began.elapsed() >= HASTY);
    let refusing = journal.usage().refusing.unwrap();
    assert_eq!(refusing.why, Refusal::TooSlow);
    // They are refused when they are first looked at, without waiting for anything.
    for number in 2..9 {
        let entries = entries(number..number + 1);
        let mut next = journal.append(&entries);
        let polled = poll_fn(|context| Poll::Ready(next.as_mut().poll(context))).await;
        assert!(matches!(polled, Poll::Ready(Err(JournalError::TooSlow))));
    }
    assert_eq!(journal.usage().refusing, Some(refusing));

    drop(stalled);
    journal.append(&[]).await.unwrap();
    assert_eq!(journal.usage().refusing, None);
    journal.append(&entries(9..10)).await.unwrap();
    let (kept, _) = journal.oldest(100).await.unwrap();
    assert_eq!(kept, [entries(0..1), entries(9..10)].concat());
}

#[tokio::test]
async fn asking_how_much_is_in_it_does_not_wait_for_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    journal.append(&entries(0..3)).await.unwrap();
    let _stalled = Arc::clone(&journal.segments).lock_owned().await;
    assert_eq!(journal.usage().entries, 3);
    let hasty = hasty(&journal);
    let read = hasty.oldest(1).await;
    assert!(matches!(read, Err(JournalError::TooSlow)));
    let (segment, offset) = (1, 1);
    let removed = hasty.remove(JournalMark { segment, offset }).await;
    assert!(matches!(removed, Err(JournalError::TooSlow)));
    assert_eq!(journal.usage().entries, 3);
}

#[tokio::test]
async fn what_was_given_up_may_be_kept_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let restless = FileJournal {
        patience: Duration::ZERO,
        ..journal.clone()
    };
    // A disk may be fast enough even for this.
    let _ = restless.append(&entries(0..1)).await;
    // Whoever has the segments next has them when that append was ended, or not begun.
    drop(Arc::clone(&journal.segments).lock_owned().await);
    journal.append(&entries(1..2)).await.unwrap();
    let (kept, _) = journal.oldest(100).await.unwrap();
    let whole = [entries(0..2), entries(1..2)];
    assert!(whole.contains(&kept), "{kept:?}");
}
