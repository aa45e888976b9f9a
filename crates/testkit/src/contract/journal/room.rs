//! The usage of a journal, and appending to a full one.

use ports::Journal;
use ports::journal::{JournalError, Refusal};

use super::{Places, ROOMY, all, append, entries, take};

/// Room for some entries, not for many.
const NARROW: u64 = 16 * 1024;

/// Appends one entry after the other until the journal is full; how many it took.
async fn fill(journal: &dyn Journal) -> u64 {
    for number in 0..NARROW {
        match journal.append(&entries(number..number + 1)).await {
            Ok(_) => {}
            Err(JournalError::Full) => return number,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("it takes more entries than it has bytes");
}

pub async fn usage_counts_entries_and_bytes(places: Places) {
    let journal = places.one.open(ROOMY);
    let usage = journal.usage();
    assert_eq!((usage.entries, usage.bytes), (0, 0));
    assert_eq!((usage.capacity, usage.set_aside), (ROOMY, 0));
    append(&*journal, &entries(0..3)).await;
    let some = journal.usage();
    assert_eq!(some.entries, 3);
    assert!(some.bytes > 0);
    append(&*journal, &entries(3..6)).await;
    assert!(journal.usage().bytes > some.bytes);
    take(&*journal, 100).await;
    let usage = journal.usage();
    assert_eq!((usage.entries, usage.bytes), (0, 0));
}

pub async fn a_full_journal_keeps_its_entries_and_refuses_more(places: Places) {
    let journal = places.one.open(NARROW);
    let count = fill(&*journal).await;
    assert!(count > 0);
    let usage = journal.usage();
    assert_eq!(usage.entries, count);
    assert!(usage.bytes <= NARROW, "{} bytes are too many", usage.bytes);
    assert_eq!(all(&*journal).await, entries(0..count));
    drop(journal);
    assert_eq!(all(&*places.one.open(NARROW)).await, entries(0..count));
}

pub async fn a_batch_that_does_not_fit_is_refused_as_a_whole(places: Places) {
    let journal = places.one.open(NARROW);
    append(&*journal, &entries(0..2)).await;
    let before = journal.usage();
    let refused = journal.append(&entries(2..1_000)).await;
    assert!(matches!(refused, Err(JournalError::Full)));
    let after = journal.usage();
    assert_eq!((after.entries, after.bytes), (before.entries, before.bytes));
    assert_eq!(all(&*journal).await, entries(0..2));
    // A batch that fits is still accepted.
    append(&*journal, &entries(2..3)).await;
    drop(journal);
    assert_eq!(all(&*places.one.open(NARROW)).await, entries(0..3));
}

pub async fn a_drained_journal_accepts_entries_again(places: Places) {
    let journal = places.one.open(NARROW);
    for _ in 0..2 {
        let count = fill(&*journal).await;
        assert_eq!(take(&*journal, usize::MAX).await, entries(0..count));
    }
    append(&*journal, &entries(0..2)).await;
    assert_eq!(all(&*journal).await, entries(0..2));
}

/// Returns why the journal refuses appends, or `None` if it accepts them.
fn refusal(journal: &dyn Journal) -> Option<Refusal> {
    journal.usage().refusing.map(|refusing| refusing.why)
}

pub async fn a_refusal_is_reported_until_an_append_succeeds(places: Places) {
    let journal = places.one.open(NARROW);
    append(&*journal, &entries(0..1)).await;
    assert_eq!(refusal(&*journal), None);
    assert!(!journal.usage().is_closed());
    fill(&*journal).await;
    let first = journal.usage();
    assert_eq!(refusal(&*journal), Some(Refusal::Full));
    assert!(first.is_closed());
    assert!(journal.append(&entries(0..1)).await.is_err());
    assert_eq!(journal.usage().refusing, first.refusing);
    // Free space alone does not end the refusal: an append has to succeed.
    take(&*journal, usize::MAX).await;
    assert!(journal.usage().is_closed());
    append(&*journal, &entries(0..1)).await;
    assert_eq!(refusal(&*journal), None);
    assert!(!journal.usage().is_closed());
}

pub async fn appending_an_empty_batch_checks_for_room_again(places: Places) {
    let journal = places.one.open(NARROW);
    fill(&*journal).await;
    let refused = journal.append(&[]).await;
    assert!(matches!(refused, Err(JournalError::Full)));
    assert_eq!(refusal(&*journal), Some(Refusal::Full));
    // Room for one entry is not enough for the batch that was refused last.
    let refused = journal.append(&entries(0..8)).await;
    assert!(matches!(refused, Err(JournalError::Full)));
    take(&*journal, 1).await;
    assert!(journal.append(&[]).await.is_err());
    take(&*journal, usize::MAX).await;
    append(&*journal, &[]).await;
    assert_eq!(refusal(&*journal), None);
    assert_eq!(journal.usage().entries, 0);
}

pub async fn appending_an_empty_batch_fails_without_room_for_an_entry(places: Places) {
    let journal = places.one.open(ROOMY);
    append(&*journal, &[]).await;
    append(&*journal, &entries(0..200)).await;
    drop(journal);
    let journal = places.one.open(NARROW);
    assert_eq!(refusal(&*journal), None);
    let refused = journal.append(&[]).await;
    assert!(matches!(refused, Err(JournalError::Full)));
    assert_eq!(refusal(&*journal), Some(Refusal::Full));
}

pub async fn a_journal_is_filling_up_from_80_percent_of_its_capacity(places: Places) {
    let journal = places.one.open(NARROW);
    append(&*journal, &entries(0..1)).await;
    assert!(!journal.usage().is_filling_up());
    fill(&*journal).await;
    assert!(journal.usage().is_filling_up());
    take(&*journal, usize::MAX).await;
    assert!(!journal.usage().is_filling_up());
}

pub async fn the_capacity_holds_after_reopening(places: Places) {
    let journal = places.one.open(ROOMY);
    append(&*journal, &entries(0..200)).await;
    assert!(journal.usage().bytes > NARROW);
    drop(journal);
    let journal = places.one.open(NARROW);
    assert!(matches!(
        journal.append(&entries(200..201)).await,
        Err(JournalError::Full)
    ));
    // Entries over the new capacity are kept.
    assert_eq!(take(&*journal, usize::MAX).await, entries(0..200));
    append(&*journal, &entries(200..201)).await;
}
