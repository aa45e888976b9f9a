//! The index of recipients.

use std::num::{NonZeroU16, NonZeroU32};

use domain::erasure::RequestedVia;
use domain::page::{MessageFilter, PageSize, ScanLimit};
use domain::{ErasureId, LogPosition, Message, Recipient, RetentionDays};
use ports::maintenance::ErasureOrder;
use ports::statistics::{IntervalCounts, RecipientEntry, StatisticsStep};
use tokio::task::JoinSet;

use super::changes::{changes, prune_before};
use super::{Counted, CountedStore};
use crate::builders::{key, recipient, report, server_secret, time, twilio_sid};
use crate::contract::reports::listing::recorded_traffic;
use crate::contract::reports::record;

const DAY: i64 = 24 * 60 * 60 * 1_000_000;

const RECIPIENT: &str = "whatsapp:+15550100077";

fn budget(rows: u32) -> NonZeroU32 {
    NonZeroU32::new(rows).expect("more than nothing")
}

fn entries(messages: &[Message]) -> Vec<RecipientEntry> {
    let secret = server_secret();
    let entry = |message: &Message| {
        let parties = &message.parties;
        let at = parties.first_reported_at;
        RecipientEntry::of(&message.key, &parties.recipient, at, &secret)
    };
    messages.iter().filter_map(entry).collect()
}

async fn all(store: &dyn CountedStore) -> Vec<Message> {
    let filter = MessageFilter::default();
    let page = store
        .messages(&filter, None, PageSize::MAX, ScanLimit::MAX)
        .await;
    page.expect("a page can be read").items
}

async fn list(store: &dyn CountedStore, entries: &[RecipientEntry]) {
    let listed = store.list_recipients(entries).await;
    listed.expect("the store is available");
}

/// Reads all messages that are listed with the hash of a recipient and that a filter selects.
async fn listed(
    store: &dyn CountedStore,
    to: &Recipient,
    filter: &MessageFilter,
    size: u16,
) -> Vec<Message> {
    let hash = server_secret().recipient_hash(to);
    let size = PageSize::new(size).expect("1 to 500");
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = store.messages_to(hash, filter, after.as_ref(), size).await;
        let page = page.expect("a page can be read");
        all.extend(page.items);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

/// Returns how many messages are listed with the hash of a recipient, whatever theirs is.
async fn count(store: &dyn CountedStore, to: &str) -> usize {
    let filter = MessageFilter::default();
    listed(store, &recipient(to), &filter, 10).await.len()
}

pub async fn recipients_are_found_as_among_all_messages(stores: Counted) {
    let recorded = recorded_traffic(&*stores.one).await;
    for _ in 0..2 {
        list(&*stores.one, &entries(&recorded)).await;
    }
    let mut found_any = 0;
    for message in recorded.iter().take(20) {
        let to = recipient(message.parties.recipient.reveal());
        for since in [None, Some(message.parties.first_reported_at)] {
            let filter = MessageFilter {
                recipient: Some(to.clone()),
                since,
                ..MessageFilter::default()
            };
            let page = stores
                .other
                .messages(&filter, None, PageSize::MAX, ScanLimit::MAX)
                .await;
            let expected = page.expect("a page can be read").items;
            found_any += expected.len();
            for size in [1, 3, 500] {
                let found = listed(&*stores.other, &to, &filter, size).await;
                assert_eq!(found, expected, "{filter:?}");
            }
        }
    }
    assert!(found_any > 20);
}

pub async fn recipient_with_the_hash_of_another_is_left_out(stores: Counted) {
    let sent = |sid: &str, to: &str| report(sid).to(to).build();
    let reports = [
        sent("SM1", "+15550100001"),
        sent("SM2", "whatsapp:+15550100002"),
    ];
    record(&*stores.one, &reports).await;
    let to = recipient("+1 (555) 010-0002");
    let hash = server_secret().recipient_hash(&to);
    let keys = ["SM1", "SM2"].map(key);
    let day = 0;
    let shared = keys.map(|key| RecipientEntry { key, hash, day });
    list(&*stores.one, &shared).await;
    let filter = MessageFilter {
        recipient: Some(to.clone()),
        ..MessageFilter::default()
    };
    let found = listed(&*stores.other, &to, &filter, 10).await;
    let found: Vec<_> = found.into_iter().map(|message| message.key).collect();
    assert_eq!(found, [key("SM2")]);
}

pub async fn recipient_is_listed_with_its_step(stores: Counted) {
    let sent = report("SM1").to(RECIPIENT).build();
    record(&*stores.one, &[sent]).await;
    let step = StatisticsStep {
        position: LogPosition(5),
        zone: "UTC".to_owned(),
        counts: IntervalCounts::new(),
        last_arrivals: [].into(),
        problems: Vec::new(),
        recipients: entries(&all(&*stores.one).await),
        erasures: 0,
    };
    let refused = stores.one.apply_statistics(Some(LogPosition(1)), &step);
    assert!(!refused.await.expect("the store is available"));
    assert_eq!(count(&*stores.other, RECIPIENT).await, 0);
    let applied = stores.one.apply_statistics(None, &step).await;
    assert!(applied.expect("the store is available"));
    assert_eq!(count(&*stores.other, RECIPIENT).await, 1);
}

pub async fn message_with_entries_of_two_days_is_found_once(stores: Counted) {
    let late = report("SM1").to(RECIPIENT).status("read").at(3 * DAY);
    record(&*stores.one, &[late.build()]).await;
    list(&*stores.one, &entries(&all(&*stores.one).await)).await;
    let first = report("SM1").to(RECIPIENT).status("sent").at(DAY);
    let other = report("SM2").to(RECIPIENT).status("sent").at(2 * DAY);
    record(&*stores.one, &[first.build(), other.build()]).await;
    list(&*stores.one, &entries(&all(&*stores.one).await)).await;
    let filter = MessageFilter::default();
    let found = listed(&*stores.other, &recipient(RECIPIENT), &filter, 1).await;
    let found: Vec<_> = found.into_iter().map(|message| message.key).collect();
    assert_eq!(found, [key("SM2"), key("SM1")]);
}

pub async fn recipients_are_removed_with_the_messages_of_their_day(stores: Counted) {
    let sent = |sid: &str, at| report(sid).to(RECIPIENT).status("sent").at(at).build();
    let old: Vec<_> = (1..=5).map(|n| sent(&format!("SM{n}"), n)).collect();
    record(&*stores.one, &old).await;
    let kept = sent("SM6", 8 * DAY + 7);
    record(&*stores.one, std::slice::from_ref(&kept)).await;
    list(&*stores.one, &entries(&all(&*stores.one).await)).await;
    assert_eq!(prune(&*stores.one).await, 0);
    assert_eq!(count(&*stores.other, RECIPIENT).await, 6);
    changes(&*stores.one, 100, 6).await;
    prune_before(&*stores.one, 5 * DAY).await;
    let keep = RetentionDays::new(1).expect("a day");
    for _ in 0..3 {
        let pruned = stores.one.prune_messages(time(9 * DAY), keep, budget(100));
        pruned.await.expect("the store is available");
    }
    let found = stores.one.message(&key("SM1")).await;
    assert_eq!(found.expect("it can be read"), None);
    prune(&*stores.one).await;
    // They would be found if their entries were still there.
    let again: Vec<_> = (1..=5)
        .map(|n| sent(&format!("SM{n}"), 8 * DAY + n))
        .collect();
    record(&*stores.one, &again).await;
    assert_eq!(count(&*stores.other, RECIPIENT).await, 1);
}

/// Removes entries of the index as retention does. Returns how many.
async fn prune(store: &dyn CountedStore) -> u64 {
    let limit = NonZeroU16::new(2).expect("more than none");
    let mut all = 0;
    loop {
        let pruned = store.prune_recipients(limit).await;
        match pruned.expect("the store is available") {
            0 => return all,
            pruned => all += pruned,
        }
    }
}

pub async fn step_that_was_read_before_an_erasure_is_refused(stores: Counted) {
    record(&*stores.one, &[report("SM1").to(RECIPIENT).build()]).await;
    let limit = NonZeroU16::new(100).expect("more than none");
    let page = stores.one.changes(None, limit).await;
    let page = page.expect("the log can be read");
    let step = |erasures| StatisticsStep {
        position: page.next,
        zone: "UTC".to_owned(),
        counts: IntervalCounts::new(),
        last_arrivals: [].into(),
        problems: Vec::new(),
        recipients: Vec::new(),
        erasures,
    };
    let stale = StatisticsStep {
        recipients: entries(&all(&*stores.one).await),
        ..step(page.erasures)
    };
    erase(&*stores.one, RECIPIENT, ErasureId(uuid::Uuid::from_u128(1))).await;
    let refused = stores.other.apply_statistics(None, &stale).await;
    assert!(!refused.expect("the store is available"));
    assert_eq!(count(&*stores.other, RECIPIENT).await, 0);
    let position = stores.one.statistics_position().await;
    assert_eq!(position.expect("it can be read"), None);
    let page = stores.one.changes(None, limit).await;
    let page = page.expect("the log can be read");
    let applied = stores
        .one
        .apply_statistics(None, &step(page.erasures))
        .await;
    assert!(applied.expect("the store is available"));
}

async fn erase(store: &dyn CountedStore, to: &str, id: ErasureId) {
    let order = ErasureOrder {
        at: time(100),
        through: RequestedVia::Api,
        reason: None,
        recipient_hash: server_secret().recipient_hash(&recipient(to)),
    };
    let begun = store.begin_erasure(id, &order, &recipient(to)).await;
    begun.expect("the store is available");
    for _ in 0..1_000 {
        let step = store.continue_erasure(id, budget(10), time(200)).await;
        let step = step.expect("the store is available");
        if step.is_some_and(|it| it.finished_at.is_some()) {
            return;
        }
    }
    panic!("the erasure does not end");
}

pub async fn erased_recipient_is_not_listed(stores: Counted) {
    let sent = |sid: &str, to: &str| report(sid).to(to).build();
    let other = "+15550100078";
    record(&*stores.one, &[sent("SM1", RECIPIENT), sent("SM2", other)]).await;
    let recipients = entries(&all(&*stores.one).await);
    list(&*stores.one, &recipients).await;
    erase(&*stores.one, RECIPIENT, ErasureId(uuid::Uuid::from_u128(1))).await;
    assert_eq!(count(&*stores.other, RECIPIENT).await, 0);
    // Entries that were made from what was read before.
    list(&*stores.one, &recipients).await;
    assert_eq!(count(&*stores.other, RECIPIENT).await, 0);
    assert_eq!(count(&*stores.other, other).await, 1);
}

pub async fn recipient_erased_while_it_is_listed_is_not_listed(stores: Counted) {
    for round in 0..20_u128 {
        let sids = (0..5).map(|n| twilio_sid(u64::try_from(round).expect("few") * 5 + n));
        let reports: Vec<_> = sids.map(|sid| report(&sid).to(RECIPIENT).build()).collect();
        record(&*stores.one, &reports).await;
        let recipients = entries(&all(&*stores.one).await);
        let mut racers = JoinSet::new();
        for racer in 0..3 {
            let (store, recipients) = (stores.nth(racer), recipients.clone());
            racers.spawn(async move { list(&*store, &recipients).await });
        }
        let store = stores.nth(3);
        let id = ErasureId(uuid::Uuid::from_u128(round + 1));
        racers.spawn(async move { erase(&*store, RECIPIENT, id).await });
        racers.join_all().await;
        assert_eq!(count(&*stores.other, RECIPIENT).await, 0);
    }
}
