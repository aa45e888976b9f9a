//! Reading a log without concurrent writers.

use std::num::NonZeroU16;

use domain::{Effect, LogPosition, Report};
use ports::event_log::Remaining;

use super::{LoggingStore, Reader, page};
use crate::builders::{key, report, time, twilio_sid};
use crate::contract::Stores;
use crate::contract::reports::record;

type Logs = Stores<dyn LoggingStore>;

/// Reports of a few messages, mixed, some of them twice.
fn history() -> Vec<Report> {
    let words = [
        "queued",
        "read",
        "sent",
        "failed",
        "teleported",
        "delivered",
        "sent",
        "received",
    ];
    (0_u32..160)
        .zip(words.into_iter().cycle())
        .map(|(n, word)| {
            let report = report(&twilio_sid(u64::from(n * 7 % 23))).at(1_000 + i64::from(n));
            match report.status(word) {
                failed if n % 16 == 3 => failed.error("63016").build(),
                other => other.build(),
            }
        })
        .collect()
}

/// Records a history in batches. How many of its reports are no duplicates.
async fn record_all(stores: &Logs, history: &[Report]) -> usize {
    let mut new = 0;
    for (number, batch) in history.chunks(13).enumerate() {
        let effects = record(&*stores.nth(number), batch).await;
        let logged = effects.iter().filter(|it| **it != Effect::Duplicate);
        new += logged.count();
    }
    new
}

pub async fn every_report_is_read_once_with_the_state_before_it(stores: Logs) {
    let history = history();
    let count = record_all(&stores, &history).await;
    assert!(count < history.len(), "some are duplicates");
    let reader = Reader::read(&*stores.one, count, 500).await;
    for entry in reader.entries {
        let found = stores.one.message(&entry.report.report.key).await;
        let found = found.expect("it can be read").expect("it is there").reports;
        let place = usize::try_from(entry.report.revision - 1).expect("small");
        assert_eq!(found[place], entry.report);
    }
}

pub async fn pages_of_every_size_return_the_same_log(stores: Logs) {
    let count = record_all(&stores, &history()).await;
    let want = Reader::read(&*stores.one, count, 1_000).await.entries;
    for limit in [1, 2, 7, 60] {
        let found = Reader::read(&*stores.one, count, limit).await.entries;
        assert_eq!(found, want, "limit {limit}");
    }
}

pub async fn the_reports_of_a_message_are_read_by_revision(stores: Logs) {
    let words = ["read", "sent", "failed", "delivered", "queued"];
    for (number, word) in words.into_iter().enumerate() {
        let batch = [
            report("SM1").status(word).build(),
            report(&format!("SM1{number}")).build(),
        ];
        record(&*stores.nth(number), &batch).await;
    }
    let reader = Reader::read(&*stores.one, 10, 3).await;
    let of_one = reader.entries.iter().map(|entry| &entry.report.report);
    let of_one = of_one.filter(|report| report.key == key("SM1"));
    let of_one: Vec<_> = of_one.map(|report| report.status.as_str()).collect();
    assert_eq!(of_one, words);
}

pub async fn reading_again_returns_the_same_entries(stores: Logs) {
    let count = record_all(&stores, &history()).await;
    let all = Reader::read(&*stores.one, count, 1_000).await.entries;
    for after in [0, 3, count / 2, count - 1] {
        let from = all[after].position;
        let page = page(&*stores.one, Some(from), 1_000).await;
        let after = all.iter().filter(|entry| entry.position > from);
        assert!(page.entries.iter().eq(after));
    }
}

pub async fn pages_of_long_histories_have_no_gaps_or_repetitions(stores: Logs) {
    let sids: Vec<_> = (0..6).map(twilio_sid).collect();
    let mut count = 0;
    for code in 0..60 {
        let failed = |sid: &String| report(sid).status("failed").error(&format!("C{code}"));
        let batch: Vec<_> = sids.iter().map(|sid| failed(sid).build()).collect();
        record(&*stores.one, &batch).await;
        count += batch.len();
    }
    let read = |sid: &String| report(sid).status("read").build();
    record(&*stores.one, &sids.iter().map(read).collect::<Vec<_>>()).await;
    let all = Reader::read(&*stores.one, count + sids.len(), 1_000).await;
    let last = all.entries[count - 1].position;
    for limit in [1, 2, 6, 50] {
        let reader = Reader::read(&*stores.one, all.entries.len(), limit).await;
        assert_eq!(reader.entries, all.entries, "limit {limit}");
        // Every report here has sixty earlier ones that are not on the page.
        let mut after = last;
        let mut found = Vec::new();
        loop {
            let page = page(&*stores.one, Some(after), limit).await;
            found.extend(page.entries);
            after = page.next;
            if page.complete {
                break;
            }
        }
        assert_eq!(found, all.entries[count..], "limit {limit}");
    }
}

pub async fn duplicates_are_not_read(stores: Logs) {
    let sent = report("SM1").status("sent").build();
    let read = report("SM1").status("read").build();
    let batch = [sent.clone(), sent.clone(), read.clone()];
    record(&*stores.one, &batch).await;
    record(&*stores.one, &batch).await;
    record(&*stores.one, &[report("SM2").build()]).await;
    let reader = Reader::read(&*stores.one, 3, 100).await;
    let reports: Vec<_> = reader.entries.iter().map(|it| &it.report.report).collect();
    assert_eq!(reports, [&sent, &read, &report("SM2").build()]);
}

pub async fn an_empty_log_is_complete_and_does_not_advance_its_reader(stores: Logs) {
    let first = page(&*stores.one, None, 10).await;
    assert_eq!((first.entries.len(), first.complete), (0, true));
    let again = page(&*stores.one, Some(first.next), 10).await;
    assert_eq!(again, first);
    record(&*stores.one, &[report("SM1").build()]).await;
    let mut reader = Reader::default();
    reader.until(&*stores.one, 1, 10).await;
    let after = Some(reader.entries[0].position);
    let end = page(&*stores.one, after, 10).await;
    assert_eq!(
        (end.entries.len(), end.complete, Some(end.next)),
        (0, true, after)
    );
}

pub async fn a_page_says_whether_there_is_more(stores: Logs) {
    let batch: Vec<_> = (0..5).map(|n| report(&twilio_sid(n)).build()).collect();
    record(&*stores.one, &batch).await;
    Reader::read(&*stores.one, 5, 10).await;
    for (limit, entries, complete) in [(4, 4, false), (6, 5, true)] {
        let page = page(&*stores.one, None, limit).await;
        assert_eq!((page.entries.len(), page.complete), (entries, complete));
    }
    // A store may report that a page is not the last if it is exactly full.
    let full = page(&*stores.one, None, 5).await;
    assert_eq!(full.entries.len(), 5);
    assert!(page(&*stores.one, Some(full.next), 5).await.complete);
}

pub async fn the_head_is_after_all_readable_entries(stores: Logs) {
    let count = record_all(&stores, &history()).await;
    let reader = Reader::read(&*stores.one, count, 1_000).await;
    let last = reader.entries.last().expect("some").position;
    let head = stores.other.head().await.expect("it has an end");
    assert!(last <= head);
    let end = page(&*stores.one, Some(head), 10).await;
    assert_eq!((end.entries.len(), end.next), (0, head));
}

pub async fn later_reports_come_after_the_head(stores: Logs) {
    record_all(&stores, &history()).await;
    let head = stores.one.head().await.expect("it has an end");
    let last = [report("SM1").build(), report("SM2").build()];
    record(&*stores.other, &last).await;
    let mut found = Vec::new();
    let mut after = head;
    // Reports recorded before may follow: they were not readable at that time.
    while found.last() != Some(&last[1]) {
        let page = page(&*stores.one, Some(after), 10).await;
        found.extend(page.entries.into_iter().map(|entry| entry.report.report));
        after = page.next;
    }
    assert!(found.ends_with(&last));
}

pub async fn seek_returns_a_position_before_all_later_arrivals(stores: Logs) {
    // Of several days, and not recorded in the order of arrival.
    let day = 24 * 60 * 60 * 1_000_000;
    let times = [5, 1, 3 * day, 2, day, 8 * day, 7 * day, 9 * day];
    for at in times {
        record(&*stores.one, &[report(&format!("SM{at}")).at(at).build()]).await;
    }
    let all = Reader::read(&*stores.one, times.len(), 100).await.entries;
    for (moment, first) in [
        (-1, 0),
        (0, 0),
        (2, 0),
        (6, 2),
        (3 * day, 2),
        (3 * day + 1, 5),
        (8 * day, 5),
        (8 * day + 1, 7),
        (9 * day, 7),
    ] {
        let position = stores.other.seek(time(moment)).await;
        let position = position.expect("it is known");
        let page = page(&*stores.one, Some(position), 100).await;
        assert_eq!(page.entries, all[first..], "{moment}");
    }
}

pub async fn seek_after_all_reports_returns_the_head(stores: Logs) {
    let at = |moment| stores.one.seek(time(moment));
    let empty = at(5).await.expect("it is known");
    assert!(page(&*stores.one, Some(empty), 10).await.entries.is_empty());
    record(&*stores.one, &[report("SM1").at(5).build()]).await;
    Reader::read(&*stores.one, 1, 10).await;
    let position = at(6).await.expect("it is known");
    let head = stores.one.head().await.expect("it has an end");
    assert!(LogPosition::START < position && position <= head);
    assert!(
        page(&*stores.one, Some(position), 10)
            .await
            .entries
            .is_empty()
    );
}

pub async fn another_store_on_the_same_data_reads_the_same_log(stores: Logs) {
    let count = record_all(&stores, &history()).await;
    let one = Reader::read(&*stores.one, count, 50).await;
    let other = Reader::read(&*stores.other, count, 50).await;
    assert_eq!(one.entries, other.entries);
}

pub async fn reports_after_a_position_are_counted_up_to_a_limit(stores: Logs) {
    let count_after = async |position: LogPosition, at_most: u16| {
        let at_most = NonZeroU16::new(at_most).expect("at least one");
        let rest = stores.other.count_after(position, at_most).await;
        rest.expect("the store is there")
    };
    let rest = |reports, since: Option<i64>| Remaining {
        reports,
        since: since.map(time),
        pruned: false,
    };
    let head = stores.one.head().await.expect("the store is there");
    assert_eq!(count_after(head, 10).await, rest(0, None));
    for (n, at) in [(1, 500), (2, 300), (3, 400), (3, 600)] {
        record(&*stores.one, &[report(&twilio_sid(n)).at(at).build()]).await;
    }
    // The last one is a duplicate.
    let reader = Reader::read(&*stores.one, 3, 10).await;
    let [first, second, third] = &reader.entries[..] else {
        panic!("{reader:?}");
    };
    for (position, at_most, counted) in [
        (LogPosition::START, 100, rest(3, Some(300))),
        (LogPosition::START, 3, rest(3, Some(300))),
        (LogPosition::START, 1, rest(1, Some(500))),
        (first.position, 100, rest(2, Some(300))),
        (second.position, 100, rest(1, Some(400))),
        (third.position, 100, rest(0, None)),
        (LogPosition(i64::MAX), 100, rest(0, None)),
    ] {
        let found = count_after(position, at_most).await;
        assert_eq!(found, counted, "{position}, {at_most}");
    }
}
