//! Beginning, resuming, finishing and listing erasures.

use std::num::NonZeroU32;

use domain::page::PageSize;
use tokio::task::JoinSet;

use super::steps::{Erasing, begin, erase, finish, history, id, message, step};
use crate::builders::time;
use crate::contract::reports::record;

pub async fn no_step_examines_more_than_its_budget(stores: Erasing) {
    for budget in [1, 2, 11, 100] {
        let history = history();
        record(&*stores.one, &history).await;
        let number = u128::from(budget);
        begin(&*stores.one, number).await;
        let mut looked_at = 0;
        for taken in 0_usize.. {
            let erasure = step(&*stores.nth(taken), number, budget).await;
            assert!(erasure.looked_at <= looked_at + u64::from(budget));
            looked_at = erasure.looked_at;
            if erasure.finished_at.is_some() {
                break;
            }
        }
        assert_eq!(looked_at, 11 + 8, "in steps of {budget}");
    }
}

pub async fn a_second_erasure_of_a_recipient_finds_nothing(stores: Erasing) {
    record(&*stores.one, &history()).await;
    erase(&stores, 1).await;
    let again = erase(&stores, 2).await;
    let counts = (again.messages, again.reports, again.deliveries);
    assert_eq!(counts, (0, 0, 0));
    assert!(again.finished_at.is_some());
}

pub async fn a_finished_erasure_does_not_change(stores: Erasing) {
    let erasure = erase(&stores, 1).await;
    record(&*stores.one, &history()).await;
    assert_eq!(step(&*stores.one, 1, 5).await, erasure);
    let (message, _) = message(&*stores.one, "SM0").await;
    assert!(!message.is_erased());
}

pub async fn beginning_an_erasure_is_idempotent(stores: Erasing) {
    record(&*stores.one, &history()).await;
    begin(&*stores.one, 1).await;
    let taken = step(&*stores.one, 1, 4).await;
    begin(&*stores.other, 1).await;
    let found = stores.one.erasure(id(1)).await;
    assert_eq!(found.expect("the store is there"), Some(taken));
    let erasure = finish(&*stores.one, 1, 4).await;
    begin(&*stores.other, 1).await;
    assert_eq!(step(&*stores.one, 1, 4).await, erasure);
}

pub async fn an_unknown_erasure_is_none(stores: Erasing) {
    let found = stores.one.erasure(id(1)).await;
    assert_eq!(found.expect("the store is there"), None);
    let taken = stores
        .one
        .continue_erasure(id(1), NonZeroU32::MIN, time(1))
        .await;
    assert_eq!(taken.expect("the store is there"), None);
}

pub async fn the_oldest_unfinished_erasure_is_resumed(stores: Erasing) {
    let next = async || {
        let next = stores.other.unfinished_erasure().await;
        next.expect("the store is there")
    };
    assert_eq!(next().await, None);
    for number in [2, 1, 3] {
        begin(&*stores.one, number).await;
    }
    for number in 1..=3 {
        assert_eq!(next().await, Some(id(number)));
        finish(&*stores.one, number, 100).await;
    }
    assert_eq!(next().await, None);
}

pub async fn erasures_are_listed_newest_first_in_pages_without_gaps(stores: Erasing) {
    for number in 1..=7 {
        begin(&*stores.one, number).await;
    }
    let last = finish(&*stores.one, 7, 1).await;
    for size in [1, 2, 7, 8] {
        let size = PageSize::new(size).expect("a page size");
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = stores.other.erasures(after, size).await;
            let page = page.expect("the store is there");
            all.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(all[0], last);
        let ids: Vec<_> = all.iter().map(|erasure| erasure.id).collect();
        assert_eq!(ids, [7, 6, 5, 4, 3, 2, 1].map(id));
    }
}

pub async fn racing_erasure_steps_run_one_at_a_time(stores: Erasing) {
    record(&*stores.one, &history()).await;
    begin(&*stores.one, 1).await;
    let mut racers = JoinSet::new();
    for racer in 0..6 {
        let store = stores.nth(racer);
        racers.spawn(async move { finish(&*store, 1, 1).await });
    }
    for erasure in racers.join_all().await {
        assert_eq!(
            (erasure.looked_at, erasure.messages, erasure.reports),
            (19, 6, 9)
        );
    }
}
