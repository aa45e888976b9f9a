//! Troubles, snoozes, settings and journals.

use std::num::NonZeroU16;

use domain::page::PageSize;
use domain::trouble::rules::JournalUse;
use domain::trouble::{Thresholds, Trouble, TroubleKind, TroubleSettings, TroubleSubject};
use domain::{ErrorCode, SubscriptionId};
use ports::troubles::{TroubleChanges, TroubleFilter};
use uuid::Uuid;

use super::{
    Troubled, TroubledStore, UNAVAILABLE, event, id, lease, open, pending, resolved, save,
    save_all, snooze,
};
use crate::builders::{channel_id, time};

async fn find(store: &dyn TroubledStore, number: u128) -> Option<Trouble> {
    store.trouble(id(number)).await.expect(UNAVAILABLE)
}

/// Returns the numbers of all listed troubles, two a page.
async fn listed(store: &dyn TroubledStore, filter: TroubleFilter) -> Vec<u128> {
    let size = PageSize::new(2).expect("a size");
    let (mut numbers, mut after) = (Vec::new(), None);
    loop {
        let page = store.troubles(&filter, after, size).await;
        let page = page.expect(UNAVAILABLE);
        assert!(page.items.len() <= 2);
        numbers.extend(page.items.iter().map(|trouble| trouble.id.0.as_u128()));
        after = page.next;
        if after.is_none() {
            return numbers;
        }
    }
}

pub async fn trouble_is_found_as_it_was_saved(stores: Troubled) {
    let mut code = open(2, "1");
    code.key.kind = TroubleKind::ErrorCode;
    let number = ErrorCode::parse("63/016").expect("a code");
    code.key.subject = TroubleSubject::Code(channel_id("1"), number);
    code.snooze = Some(snooze(9_000_000));
    let mut stopped = resolved(3, "1", 5_000_000);
    stopped.key.kind = TroubleKind::SubscriptionStopped;
    stopped.key.subject = TroubleSubject::Subscription(SubscriptionId(Uuid::from_u128(77)));
    let all = [pending(1, "1"), code, stopped];
    save_all(&*stores.one, &all).await;
    for trouble in &all {
        let found = stores.other.trouble(trouble.id).await.expect(UNAVAILABLE);
        assert_eq!(found.as_ref(), Some(trouble));
    }
    assert_eq!(find(&*stores.other, 4).await, None);
    let unresolved = stores.other.unresolved().await.expect(UNAVAILABLE);
    assert_eq!(unresolved, all[..2]);
}

pub async fn confirmed_troubles_are_listed_by_page_and_filter(stores: Troubled) {
    let mut service = open(6, "1");
    service.key.subject = TroubleSubject::Service;
    let all = [
        pending(1, "3"),
        open(2, "2"),
        resolved(3, "1", 5),
        open(4, "1"),
        resolved(5, "2", 6),
        service,
    ];
    save_all(&*stores.one, &all).await;
    let filter = |resolved: Option<bool>, channel: Option<&str>| TroubleFilter {
        resolved,
        channel: channel.map(channel_id),
    };
    for (filter, expected) in [
        (filter(None, None), vec![6, 5, 4, 3, 2]),
        (filter(Some(false), None), vec![6, 4, 2]),
        (filter(Some(true), None), vec![5, 3]),
        (filter(Some(false), Some("1")), vec![4]),
        (filter(None, Some("3")), vec![]),
    ] {
        assert_eq!(listed(&*stores.other, filter).await, expected);
    }
}

pub async fn snooze_is_kept_when_an_evaluation_saves(stores: Troubled) {
    let trouble = open(1, "1");
    save_all(&*stores.one, std::slice::from_ref(&trouble)).await;
    let asleep = snooze(7_000_000);
    let set = stores.other.set_snooze(id(1), Some(&asleep)).await;
    assert!(set.expect(UNAVAILABLE));
    let mut later = trouble.clone();
    "Still no report.".clone_into(&mut later.finding.seen);
    save_all(&*stores.one, std::slice::from_ref(&later)).await;
    let found = find(&*stores.other, 1).await.expect("it is there");
    assert_eq!(found.snooze, Some(asleep));
    assert_eq!(found.finding, later.finding);
    let ended = stores.one.set_snooze(id(1), None).await;
    assert!(ended.expect(UNAVAILABLE));
    assert_eq!(find(&*stores.other, 1).await, Some(later));
}

pub async fn resolved_trouble_is_not_snoozed(stores: Troubled) {
    let trouble = resolved(1, "1", 5);
    save_all(&*stores.one, std::slice::from_ref(&trouble)).await;
    for number in [1, 2] {
        let set = stores.one.set_snooze(id(number), Some(&snooze(7))).await;
        assert!(!set.expect(UNAVAILABLE));
    }
    assert_eq!(find(&*stores.one, 1).await, Some(trouble));
}

pub async fn longest_lasting_snooze_of_a_resolved_trouble_counts(stores: Troubled) {
    let snoozed = |number, channel, until| {
        let mut trouble = resolved(number, channel, 5);
        trouble.snooze = Some(snooze(until));
        trouble
    };
    let mut lasting = open(6, "3");
    lasting.snooze = Some(snooze(99));
    let all = [
        snoozed(1, "1", 20),
        snoozed(2, "1", 30),
        snoozed(3, "1", 25),
        snoozed(4, "2", 10),
        resolved(5, "2", 5),
        lasting,
    ];
    save_all(&*stores.one, &all).await;
    let lasting_ones = stores.other.lasting_snoozes(time(10)).await;
    let key = all[0].key.clone();
    assert_eq!(lasting_ones.expect(UNAVAILABLE), [(key, snooze(30))]);
}

pub async fn settings_are_stored_for_a_channel_and_for_all(stores: Troubled) {
    let read = async || {
        let settings = stores.other.trouble_settings().await;
        settings.expect(UNAVAILABLE)
    };
    assert_eq!(read().await, []);
    let all = TroubleSettings::default();
    let one = TroubleSettings {
        off: TroubleKind::ALL.into(),
        thresholds: Thresholds::new(90, 77, 12).expect("valid"),
        quiet_hours: Some("22:00-06:30".parse().expect("valid")),
    };
    let channel = channel_id("1");
    let set = async |channel, settings| {
        let set = stores.one.set_trouble_settings(channel, settings).await;
        set.expect(UNAVAILABLE);
    };
    set(Some(&channel), Some(&all)).await;
    set(Some(&channel), Some(&one)).await;
    set(None, Some(&all)).await;
    let both = [(None, all.clone()), (Some(channel.clone()), one.clone())];
    assert_eq!(read().await, both);
    set(None, None).await;
    set(None, None).await;
    assert_eq!(read().await, [(Some(channel), one)]);
}

fn journal(receiver: &str, entries: u64, last: i64) -> JournalUse {
    JournalUse {
        receiver: receiver.to_owned(),
        entries,
        since: time(1),
        last_used_at: time(last),
    }
}

pub async fn journal_is_replaced_and_found_by_its_last_use(stores: Troubled) {
    for each in [journal("b", 1, 5), journal("a", 2, 9), journal("b", 3, 7)] {
        stores.one.note_journal(&each).await.expect(UNAVAILABLE);
    }
    let found = async |since| {
        let journals = stores.other.journals(time(since)).await;
        journals.expect(UNAVAILABLE)
    };
    assert_eq!(found(7).await, [journal("a", 2, 9), journal("b", 3, 7)]);
    assert_eq!(found(8).await, [journal("a", 2, 9)]);
}

pub async fn old_troubles_events_and_journals_are_pruned(stores: Troubled) {
    let lease = lease(&*stores.one, "a").await;
    let changes = TroubleChanges {
        saved: vec![
            resolved(1, "1", 5),
            resolved(2, "1", 3),
            resolved(3, "1", 9),
            open(4, "1"),
        ],
        events: vec![event(1, 2), event(2, 9)],
        ..TroubleChanges::default()
    };
    assert!(save(&*stores.one, &lease, changes).await);
    for each in [journal("a", 0, 8), journal("b", 0, 9)] {
        stores.one.note_journal(&each).await.expect(UNAVAILABLE);
    }
    let prune = async || {
        let pruned = stores.other.prune_troubles(time(9), NonZeroU16::MIN).await;
        pruned.expect(UNAVAILABLE)
    };
    assert_eq!(prune().await, 3);
    assert_eq!(find(&*stores.one, 2).await, None);
    assert_eq!([prune().await, prune().await], [1, 0]);
    assert_eq!(listed(&*stores.one, TroubleFilter::default()).await, [4, 3]);
    let events = stores.one.operator_events(0, PageSize::MAX).await;
    let events = events.expect(UNAVAILABLE);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].event, event(2, 9));
    let journals = stores.one.journals(time(0)).await.expect(UNAVAILABLE);
    assert_eq!(journals, [journal("b", 0, 9)]);
}
