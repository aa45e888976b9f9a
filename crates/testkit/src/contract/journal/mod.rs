//! What every [`Journal`] must do.

pub mod room;

pub use room::*;

use std::sync::Arc;

use domain::IntegratorName;
use domain::report::FIELDS_LENGTH_MAX;
use ports::Journal;
use ports::journal::JournalEntry;
use tokio::task::JoinSet;

use super::Stores;
use crate::builders::{report, twilio_sid};

/// Gives the names of all functions of this area to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __journal_contract {
    ([$($then:tt)*] $($arguments:tt)*) => {
        $($then)*! { $($arguments)*,
            an_empty_journal_has_no_entries
            entries_are_read_in_the_order_they_were_appended
            entries_survive_reopening
            every_value_is_read_as_it_was_appended
            the_longest_fields_are_accepted
            an_entry_that_is_too_long_is_left_out_of_its_batch
            appending_an_empty_batch_has_no_effect
            entries_are_read_again_until_they_are_removed
            no_more_entries_are_read_than_requested
            an_entry_appended_after_the_mark_is_not_removed
            a_mark_removes_nothing_when_used_again
            reopening_restores_removed_entries_at_most_together_with_later_ones
            a_journal_is_drained_step_by_step

            batches_appended_concurrently_stay_contiguous
            entries_appended_during_a_removal_are_kept

            usage_counts_entries_and_bytes
            a_full_journal_keeps_its_entries_and_refuses_more
            a_batch_that_does_not_fit_is_refused_as_a_whole
            a_drained_journal_accepts_entries_again
            a_refusal_is_reported_until_an_append_succeeds
            appending_an_empty_batch_checks_for_room_again
            appending_an_empty_batch_fails_without_room_for_an_entry
            a_journal_is_filling_up_from_80_percent_of_its_capacity
            the_capacity_holds_after_reopening
        }
    };
}

/// Where a journal is kept. One journal at a time is open in it.
pub trait JournalPlace: Send + Sync {
    /// Opens the journal with a capacity in bytes, as a starting process does.
    fn open(&self, capacity: u64) -> Arc<dyn Journal>;
}

type Places = Stores<dyn JournalPlace>;

const ROOMY: u64 = 1 << 30;

fn entries(numbers: std::ops::Range<u64>) -> Vec<JournalEntry> {
    let entry = |number| JournalEntry {
        integrator: twilio(),
        report: report(&twilio_sid(number))
            .status("undelivered")
            .error_with_text("63016", "outside the wïndow")
            .token("token")
            .build(),
    };
    numbers.map(entry).collect()
}

fn twilio() -> IntegratorName {
    IntegratorName::parse("twilio").expect("this is a name")
}

async fn append(journal: &dyn Journal, entries: &[JournalEntry]) {
    let appended = journal.append(entries).await;
    assert_eq!(appended.expect("the journal takes entries"), [0; 0]);
}

/// Returns all that is in it.
async fn all(journal: &dyn Journal) -> Vec<JournalEntry> {
    let (entries, _) = journal.oldest(usize::MAX).await.expect("it can be read");
    entries
}

/// Removes the oldest entries, which are returned.
async fn take(journal: &dyn Journal, max: usize) -> Vec<JournalEntry> {
    let (entries, mark) = journal.oldest(max).await.expect("it can be read");
    journal.remove(mark).await.expect("entries can be removed");
    entries
}

pub async fn an_empty_journal_has_no_entries(places: Places) {
    let journal = places.one.open(ROOMY);
    let (none, mark) = journal.oldest(10).await.expect("it can be read");
    assert_eq!(none, []);
    append(&*journal, &entries(0..2)).await;
    journal.remove(mark).await.expect("there is nothing to do");
    assert_eq!(all(&*journal).await, entries(0..2));
}

pub async fn entries_are_read_in_the_order_they_were_appended(places: Places) {
    let journal = places.one.open(ROOMY);
    append(&*journal, &entries(5..8)).await;
    append(&*journal, &entries(0..5)).await;
    let expected = [entries(5..8), entries(0..5)].concat();
    assert_eq!(all(&*journal).await, expected);
}

pub async fn entries_survive_reopening(places: Places) {
    let journal = places.one.open(ROOMY);
    append(&*journal, &entries(0..3)).await;
    append(&*journal, &entries(3..5)).await;
    drop(journal);
    let journal = places.one.open(ROOMY);
    assert_eq!(journal.usage().entries, 5);
    append(&*journal, &entries(5..6)).await;
    assert_eq!(all(&*journal).await, entries(0..6));
    drop(journal);
    assert_eq!(all(&*places.one.open(ROOMY)).await, entries(0..6));
}

pub async fn every_value_is_read_as_it_was_appended(places: Places) {
    let fields = [
        ("quotes", r#"'single' "double" \back \u0000 {} [1,2]"#),
        ("control", "\u{1}\u{7f}\t\r\n\u{feff}\u{2028}\u{10ffff}"),
        ("näme ", " "),
        ("", "no name"),
    ];
    let longest = report(&"~".repeat(64))
        .channel(&"9".repeat(64))
        .status(&"ß".repeat(64))
        .error_with_text(&"!".repeat(32), &"👍".repeat(1_000))
        .to(&"\u{10ffff}".repeat(256))
        .from(&"è".repeat(256))
        .at(1_795_370_777_123_456)
        .credential(u128::MAX)
        .token(&"t".repeat(4_096))
        .fields(fields);
    let reports = [
        longest.build(),
        report("SM1").status("read").at(-1).fields([]).build(),
        report("SM2").error("63016").build(),
    ];
    let other = IntegratorName::parse("another").expect("this is a name");
    let appended = reports.map(|report| JournalEntry {
        integrator: other.clone(),
        report,
    });
    let journal = places.one.open(ROOMY);
    append(&*journal, &appended).await;
    assert_eq!(all(&*journal).await, appended);
    drop(journal);
    assert_eq!(all(&*places.one.open(ROOMY)).await, appended);
}

/// Returns an entry with fields of this length as JSON, made of characters that JSON escapes.
fn with_long_fields(bytes: usize) -> JournalEntry {
    let value = "\"".repeat((bytes - r#"{"":""}"#.len()) / 2);
    JournalEntry {
        integrator: twilio(),
        report: report("SM1").fields([("", &*value)]).build(),
    }
}

pub async fn the_longest_fields_are_accepted(places: Places) {
    let journal = places.one.open(ROOMY);
    let longest = [with_long_fields(FIELDS_LENGTH_MAX - 1)];
    append(&*journal, &longest).await;
    assert_eq!(all(&*journal).await, longest);
}

pub async fn an_entry_that_is_too_long_is_left_out_of_its_batch(places: Places) {
    let journal = places.one.open(ROOMY);
    let long = with_long_fields(8 * FIELDS_LENGTH_MAX);
    let mut batch = entries(0..3);
    batch.insert(1, long.clone());
    batch.push(long.clone());
    let left_out = journal.append(&batch).await;
    assert_eq!(left_out.expect("the journal takes the others"), [1, 4]);
    let left_out = journal.append(std::slice::from_ref(&long)).await;
    assert_eq!(left_out.expect("the journal is not at fault"), [0]);
    assert_eq!(journal.usage().refusing, None);
    drop(journal);
    assert_eq!(all(&*places.one.open(ROOMY)).await, entries(0..3));
}

pub async fn appending_an_empty_batch_has_no_effect(places: Places) {
    let journal = places.one.open(ROOMY);
    append(&*journal, &[]).await;
    assert_eq!((journal.usage().entries, journal.usage().bytes), (0, 0));
    assert_eq!(all(&*journal).await, []);
}

pub async fn entries_are_read_again_until_they_are_removed(places: Places) {
    let journal = places.one.open(ROOMY);
    append(&*journal, &entries(0..10)).await;
    let first = journal.oldest(4).await.expect("it can be read");
    let again = journal.oldest(4).await.expect("it can be read");
    assert_eq!(first, again);
    assert_eq!(first.0, entries(0..4));
    assert_eq!(journal.usage().entries, 10);
    journal.remove(first.1).await.expect("they can be removed");
    assert_eq!(journal.usage().entries, 6);
    assert_eq!(all(&*journal).await, entries(4..10));
}

pub async fn no_more_entries_are_read_than_requested(places: Places) {
    let journal = places.one.open(ROOMY);
    append(&*journal, &entries(0..5)).await;
    assert_eq!(take(&*journal, 0).await, []);
    assert_eq!(take(&*journal, 1).await, entries(0..1));
    assert_eq!(take(&*journal, 3).await, entries(1..4));
    assert_eq!(take(&*journal, 3).await, entries(4..5));
    assert_eq!(take(&*journal, 3).await, []);
}

pub async fn an_entry_appended_after_the_mark_is_not_removed(places: Places) {
    let journal = places.one.open(ROOMY);
    append(&*journal, &entries(0..2)).await;
    let (_, mark) = journal.oldest(100).await.expect("it can be read");
    append(&*journal, &entries(2..3)).await;
    journal.remove(mark).await.expect("they can be removed");
    assert_eq!(journal.usage().entries, 1);
    assert_eq!(all(&*journal).await, entries(2..3));
}

pub async fn a_mark_removes_nothing_when_used_again(places: Places) {
    let journal = places.one.open(ROOMY);
    append(&*journal, &entries(0..6)).await;
    let (_, early) = journal.oldest(2).await.expect("it can be read");
    journal.remove(early).await.expect("they can be removed");
    let (_, late) = journal.oldest(2).await.expect("it can be read");
    journal.remove(late).await.expect("they can be removed");
    for mark in [early, late, early] {
        journal.remove(mark).await.expect("there is nothing to do");
        assert_eq!(journal.usage().entries, 2);
        assert_eq!(all(&*journal).await, entries(4..6));
    }
}

pub async fn reopening_restores_removed_entries_at_most_together_with_later_ones(places: Places) {
    let journal = places.one.open(ROOMY);
    append(&*journal, &entries(0..6)).await;
    take(&*journal, 4).await;
    drop(journal);
    let journal = places.one.open(ROOMY);
    let left = all(&*journal).await;
    assert_eq!(journal.usage().entries, left.len() as u64);
    assert!(left.len() >= 2, "entries that were not removed are gone");
    assert!(entries(0..6).ends_with(&left), "not in order: {left:?}");
}

pub async fn a_journal_is_drained_step_by_step(places: Places) {
    let journal = places.one.open(ROOMY);
    let total = 1_000;
    for start in (0..total).step_by(50) {
        append(&*journal, &entries(start..start + 50)).await;
    }
    let mut next = 0;
    while journal.usage().entries > 0 {
        let some = take(&*journal, 37).await;
        let count = some.len() as u64;
        assert!(count > 0, "it is not empty and gives nothing");
        assert_eq!(some, entries(next..next + count));
        next += count;
        assert_eq!(journal.usage().entries, total - next);
    }
    assert_eq!(next, total);
    drop(journal);
    // No entry is left that reopening could restore.
    assert_eq!(places.one.open(ROOMY).usage().bytes, 0);
}

pub async fn batches_appended_concurrently_stay_contiguous(places: Places) {
    let journal = places.one.open(ROOMY);
    let mut racers = JoinSet::new();
    for racer in 0..16 {
        let journal = Arc::clone(&journal);
        racers.spawn(async move {
            for batch in 0..5 {
                let start = racer * 100 + batch * 10;
                append(&*journal, &entries(start..start + 10)).await;
            }
        });
    }
    racers.join_all().await;
    let mut kept = all(&*journal).await;
    assert_eq!(kept.len(), 16 * 50);
    // The batches of each racer are in order, and each batch is contiguous.
    let mut next = [0; 16];
    while !kept.is_empty() {
        let batch: Vec<_> = kept.drain(..10).collect();
        let racer = (0..16).find(|racer: &u64| {
            let start = racer * 100 + next[usize::try_from(*racer).unwrap_or_default()];
            batch == entries(start..start + 10)
        });
        let racer = racer.expect("the next batch of one of them stands together");
        next[usize::try_from(racer).unwrap_or_default()] += 10;
    }
}

pub async fn entries_appended_during_a_removal_are_kept(places: Places) {
    let journal = places.one.open(ROOMY);
    let total = 200;
    let appending = {
        let journal = Arc::clone(&journal);
        async move {
            for number in 0..total {
                append(&*journal, &entries(number..number + 1)).await;
            }
        }
    };
    let taking = async {
        let mut taken = Vec::new();
        while taken.len() < 200 {
            taken.extend(take(&*journal, 7).await);
            tokio::task::yield_now().await;
        }
        taken
    };
    let ((), taken) = tokio::join!(appending, taking);
    assert_eq!(taken, entries(0..total));
    assert_eq!(journal.usage().entries, 0);
}
