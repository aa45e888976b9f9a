//! What every [`RejectionStore`] must do.

use domain::crypto::SealedSecret;
use domain::page::PageSize;
use domain::rejection::{MaskedFields, REJECTIONS_KEPT};
use domain::{ChannelId, IntegratorName, Rejection, RejectionReason};
use ports::RejectionStore;
use ports::rejections::StoredRejection;
use tokio::task::JoinSet;

use super::Stores;
use crate::builders::{channel_id, time};

/// Gives the names of all functions of this area to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __rejections_contract {
    ([$($then:tt)*] $($arguments:tt)*) => {
        $($then)*! { $($arguments)*,
            a_rejection_is_listed_as_it_was_stored
            a_rejection_is_found_by_its_id
            storing_the_same_rejection_twice_stores_two
            rejections_are_listed_newest_first
            pages_of_rejections_have_no_gaps_or_repetitions
            a_channel_without_rejections_has_an_empty_list
            only_the_newest_rejections_of_a_channel_are_kept
            a_batch_keeps_its_order_and_the_limit_of_each_channel
            racing_rejections_keep_the_limit
            another_store_on_the_same_data_sees_rejections
        }
    };
}

type Rejections = Stores<dyn RejectionStore>;

fn rejection(channel: &str, number: i64) -> Rejection {
    Rejection {
        arrived_at: time(number),
        channel: channel_id(channel),
        integrator: IntegratorName::parse("twilio").expect("a name"),
        reason: RejectionReason::InvalidReport,
        detail: format!("number {number}"),
        fields: MaskedFields::default(),
        sender: None,
    }
}

async fn store(log: &dyn RejectionStore, rejection: &Rejection) {
    let stored = log.store_rejections(std::slice::from_ref(rejection)).await;
    stored.expect("the store is there");
}

/// Returns all rejections, read in pages of `size`.
async fn list(log: &dyn RejectionStore, channel: Option<&str>, size: u16) -> Vec<StoredRejection> {
    let channel: Option<ChannelId> = channel.map(channel_id);
    let size = PageSize::new(size).expect("1 to 500");
    let (mut stored, mut after) = (Vec::new(), None);
    loop {
        let page = log
            .list(channel.as_ref(), after, size)
            .await
            .expect("the store is there");
        assert!(page.items.len() <= usize::from(size.get()));
        stored.extend(page.items);
        after = page.next;
        if after.is_none() {
            return stored;
        }
    }
}

/// Returns the numbers of the rejections, as listed.
async fn numbers(log: &dyn RejectionStore, channel: Option<&str>, size: u16) -> Vec<i64> {
    let stored = list(log, channel, size).await;
    assert!(
        stored.is_sorted_by(|a, b| a.id > b.id),
        "later ones have greater ids"
    );
    stored
        .iter()
        .map(|stored| stored.rejection.arrived_at.unix_micros())
        .collect()
}

pub async fn a_rejection_is_listed_as_it_was_stored(stores: Rejections) {
    let pairs = [
        ("To", "whatsapp:+***0001"),
        ("näme", "\"***\" 👍 'x' \\u0000"),
        ("To", "again"),
        ("", ""),
        ("A", "\u{1}\u{7f}\n"),
    ];
    let many = (0..60).map(|n| (format!("{n}"), "ß".repeat(200)));
    let fields = [
        MaskedFields::default(),
        MaskedFields::new(pairs.map(|(name, value)| (name.to_owned(), value.to_owned()))),
        MaskedFields::new(many),
    ];
    let mut wanted = Vec::new();
    for (reason, number) in RejectionReason::ALL.into_iter().zip(0..) {
        let rejection = Rejection {
            arrived_at: time(253_402_300_799_999_999 - number),
            reason,
            detail: "MessageSid: 1 to 64 – ‘printable’ ".repeat(20),
            fields: fields[usize::try_from(number).expect("small") % fields.len()].clone(),
            sender: (number % 2 == 0).then(|| SealedSecret((0..=255).collect())),
            ..rejection("Tenant-7_main~x.1", 0)
        };
        store(&*stores.one, &rejection).await;
        wanted.insert(0, rejection);
    }
    let found = list(&*stores.one, None, 500).await.into_iter();
    assert_eq!(
        found.map(|stored| stored.rejection).collect::<Vec<_>>(),
        wanted
    );
}

pub async fn a_rejection_is_found_by_its_id(stores: Rejections) {
    for number in 1..4 {
        let rejection = Rejection {
            sender: (number == 2).then(|| SealedSecret(vec![0, 7, 255])),
            ..rejection("1", number)
        };
        store(&*stores.one, &rejection).await;
    }
    for stored in list(&*stores.one, None, 500).await {
        let found = stores.other.rejection(stored.id).await;
        assert_eq!(found.expect("the store is there"), Some(stored));
    }
    for id in [0, -1, i64::MAX] {
        let found = stores.one.rejection(id).await;
        assert_eq!(found.expect("the store is there"), None);
    }
}

pub async fn storing_the_same_rejection_twice_stores_two(stores: Rejections) {
    for _ in 0..2 {
        store(&*stores.one, &rejection("1", 1)).await;
    }
    assert_eq!(numbers(&*stores.one, Some("1"), 50).await, [1, 1]);
}

pub async fn rejections_are_listed_newest_first(stores: Rejections) {
    // In the order in which they were stored, not by time.
    for (channel, number) in [("1", 5), ("2", 4), ("1", 6), ("1", 3), ("10", 7)] {
        store(&*stores.one, &rejection(channel, number)).await;
    }
    assert_eq!(numbers(&*stores.one, None, 50).await, [7, 3, 6, 4, 5]);
    assert_eq!(numbers(&*stores.one, Some("1"), 50).await, [3, 6, 5]);
    assert_eq!(numbers(&*stores.one, Some("2"), 50).await, [4]);
}

pub async fn pages_of_rejections_have_no_gaps_or_repetitions(stores: Rejections) {
    for number in 0..30 {
        store(
            &*stores.one,
            &rejection(["1", "2"][usize::from(number % 3 == 0)], number),
        )
        .await;
    }
    let all: Vec<_> = (0..30).rev().collect();
    let of_two: Vec<_> = all
        .iter()
        .copied()
        .filter(|number| number % 3 == 0)
        .collect();
    for size in [1, 3, 10, 29, 30, 31, 500] {
        assert_eq!(numbers(&*stores.one, None, size).await, all, "size {size}");
        assert_eq!(
            numbers(&*stores.one, Some("2"), size).await,
            of_two,
            "size {size}"
        );
    }
    for (size, more) in [(29, true), (30, false), (31, false)] {
        let size = PageSize::new(size).expect("1 to 500");
        let page = stores
            .one
            .list(None, None, size)
            .await
            .expect("the store is there");
        assert_eq!(page.next.is_some(), more);
    }
}

pub async fn a_channel_without_rejections_has_an_empty_list(stores: Rejections) {
    store(&*stores.one, &rejection("1", 1)).await;
    assert_eq!(list(&*stores.one, Some("2"), 50).await, []);
    for (after, items) in [(i64::MIN, 0), (0, 0), (i64::MAX, 1)] {
        let page = stores
            .one
            .list(None, Some(after), PageSize::default())
            .await;
        assert_eq!(page.expect("the store is there").items.len(), items);
    }
}

pub async fn only_the_newest_rejections_of_a_channel_are_kept(stores: Rejections) {
    let limit = i64::from(REJECTIONS_KEPT);
    for number in [1, 2] {
        store(&*stores.one, &rejection("2", number)).await;
    }
    for number in 0..limit + 5 {
        store(&*stores.one, &rejection("1", number)).await;
    }
    let last: Vec<_> = (5..limit + 5).rev().collect();
    assert_eq!(numbers(&*stores.one, Some("1"), 500).await, last);
    assert_eq!(numbers(&*stores.one, Some("2"), 500).await, [2, 1]);
    assert_eq!(numbers(&*stores.one, None, 500).await.len(), last.len() + 2);
}

pub async fn a_batch_keeps_its_order_and_the_limit_of_each_channel(stores: Rejections) {
    stores
        .one
        .store_rejections(&[])
        .await
        .expect("nothing to do");
    let limit = i64::from(REJECTIONS_KEPT);
    for number in [1, 2] {
        store(&*stores.one, &rejection("2", number)).await;
    }
    let mut batch: Vec<_> = (0..limit).map(|n| rejection("1", n)).collect();
    batch.insert(7, rejection("2", 3));
    for batch in [&batch[..], &[rejection("1", limit), rejection("3", 1)]] {
        stores
            .other
            .store_rejections(batch)
            .await
            .expect("the store is there");
    }
    let last: Vec<_> = (1..=limit).rev().collect();
    assert_eq!(numbers(&*stores.one, Some("1"), 500).await, last);
    assert_eq!(numbers(&*stores.one, Some("2"), 500).await, [3, 2, 1]);
    assert_eq!(numbers(&*stores.one, Some("3"), 500).await, [1]);
}

pub async fn racing_rejections_keep_the_limit(stores: Rejections) {
    let mut racers = JoinSet::new();
    for racer in 0..8_u8 {
        let log = stores.nth(racer.into());
        racers.spawn(async move {
            for number in 0..130 {
                store(&*log, &rejection("1", i64::from(racer) * 1_000 + number)).await;
            }
        });
    }
    racers.join_all().await;
    // Concurrent writers do not see each other's rows; the next write restores the limit.
    store(&*stores.one, &rejection("1", -1)).await;
    let found = numbers(&*stores.one, Some("1"), 500).await;
    assert_eq!(u32::try_from(found.len()), Ok(REJECTIONS_KEPT));
    assert_eq!(found.first(), Some(&-1));
}

pub async fn another_store_on_the_same_data_sees_rejections(stores: Rejections) {
    store(&*stores.one, &rejection("1", 1)).await;
    store(&*stores.other, &rejection("1", 2)).await;
    for log in [&stores.one, &stores.other] {
        assert_eq!(numbers(&**log, None, 50).await, [2, 1]);
    }
}
