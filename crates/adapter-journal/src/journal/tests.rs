//! A disk that hangs, simulated by holding the lock on the segments.

use std::future::poll_fn;
use std::task::Poll;

use domain::IntegratorName;
use testkit::builders::{report, twilio_sid};

use super::*;

const SHORT_TIMEOUT: Duration = Duration::from_millis(100);

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

/// The same journal with a short timeout.
fn with_short_timeout(journal: &FileJournal) -> FileJournal {
    FileJournal {
        timeout: SHORT_TIMEOUT,
        ..journal.clone()
    }
}

#[tokio::test]
async fn hanging_append_times_out_and_the_next_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    journal.append(&entries(0..1)).await.unwrap();
    let stalled = Arc::clone(&journal.segments).lock_owned().await;
    let began = Instant::now();
    let refused = with_short_timeout(&journal).append(&entries(1..2)).await;
    assert!(matches!(refused, Err(JournalError::TooSlow)));
    assert!(began.elapsed() >= SHORT_TIMEOUT);
    let refusing = journal.usage().refusing.unwrap();
    assert_eq!(refusing.why, Refusal::TooSlow);
    // They fail on the first poll.
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
async fn usage_does_not_wait_for_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    journal.append(&entries(0..3)).await.unwrap();
    let _stalled = Arc::clone(&journal.segments).lock_owned().await;
    assert_eq!(journal.usage().entries, 3);
    let impatient = with_short_timeout(&journal);
    let read = impatient.oldest(1).await;
    assert!(matches!(read, Err(JournalError::TooSlow)));
    let (segment, offset) = (1, 1);
    let removed = impatient.remove(JournalMark { segment, offset }).await;
    assert!(matches!(removed, Err(JournalError::TooSlow)));
    assert_eq!(journal.usage().entries, 3);
}

#[tokio::test]
async fn timed_out_append_may_still_be_stored() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let no_timeout = FileJournal {
        timeout: Duration::ZERO,
        ..journal.clone()
    };
    // A fast disk may complete it even so.
    let _ = no_timeout.append(&entries(0..1)).await;
    // The lock is free once that append has completed or before it has started.
    drop(Arc::clone(&journal.segments).lock_owned().await);
    journal.append(&entries(1..2)).await.unwrap();
    let (kept, _) = journal.oldest(100).await.unwrap();
    let whole = [entries(0..2), entries(1..2)];
    assert!(whole.contains(&kept), "{kept:?}");
}
