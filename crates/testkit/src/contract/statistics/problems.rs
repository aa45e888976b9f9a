//! The list of messages that failed.

use std::num::NonZeroU32;

use domain::page::{MessageFilter, Page, PageSize, ScanLimit};
use domain::statistics::{MessageSummary, Outcome};
use domain::{DeliveryStatus, ErrorCode, LogPosition, Message, RetentionDays};
use ports::statistics::{IntervalCounts, ProblemMessage, StatisticsStep};

use super::changes::{changes, prune_before};
use super::{Counted, CountedStore};
use crate::builders::{channel_id, key, report, time};
use crate::contract::reports::listing::recorded_traffic;
use crate::contract::reports::record;

const DAY: i64 = 24 * 60 * 60 * 1_000_000;

fn code(text: &str) -> ErrorCode {
    ErrorCode::parse(text).expect("a code")
}

/// Returns the entries of those messages that failed.
fn entries(messages: &[Message]) -> Vec<ProblemMessage> {
    let messages = messages.iter();
    messages
        .filter_map(|message| ProblemMessage::of(&message.key, &MessageSummary::of(message)))
        .collect()
}

/// Reads all pages of a list.
async fn listed(store: &dyn CountedStore, filter: &MessageFilter, size: u16) -> Vec<Message> {
    listed_by(store, filter, size, ScanLimit::MAX).await
}

async fn listed_by(
    store: &dyn CountedStore,
    filter: &MessageFilter,
    size: u16,
    scan: ScanLimit,
) -> Vec<Message> {
    assert!(filter.selects_problems());
    let size = PageSize::new(size).expect("1 to 500");
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = store
            .problem_messages(filter, after.as_ref(), size, scan)
            .await;
        let Page { items, next } = page.expect("a page can be read");
        all.extend(items);
        after = next;
        if after.is_none() {
            return all;
        }
    }
}

fn filters() -> Vec<MessageFilter> {
    let none = MessageFilter::default;
    let mut filters = vec![MessageFilter {
        contradicted: Some(true),
        ..none()
    }];
    for text in ["63016", "63024", "6301"] {
        filters.push(MessageFilter {
            error_code: Some(code(text)),
            ..none()
        });
    }
    for status in [DeliveryStatus::Failed, DeliveryStatus::Undelivered] {
        filters.push(MessageFilter {
            status: Some(status.into()),
            ..none()
        });
    }
    for contradicted in [None, Some(false), Some(true)] {
        filters.push(MessageFilter {
            status: Some(Outcome::statuses(&[Outcome::Failed])),
            contradicted,
            ..none()
        });
    }
    filters.push(MessageFilter {
        status: Some(Outcome::statuses(&[Outcome::Delivered, Outcome::Read])),
        contradicted: Some(true),
        since: Some(time(1_003)),
        ..none()
    });
    filters.push(MessageFilter {
        channel: Some(channel_id("10")),
        status: Some(DeliveryStatus::Failed.into()),
        contradicted: Some(false),
        error_code: Some(code("63024")),
        since: Some(time(1_002)),
        until: Some(time(1_013)),
        ..none()
    });
    filters.push(MessageFilter {
        status: Some(DeliveryStatus::Read.into()),
        contradicted: Some(true),
        since: Some(time(1_003)),
        ..none()
    });
    filters
}

pub async fn problems_are_listed_as_among_all_messages(stores: Counted) {
    let all = recorded_traffic(&*stores.one).await;
    let problems = entries(&all);
    assert!(problems.len() > 50 && problems.len() < all.len());
    for _ in 0..2 {
        let added = stores.one.list_problems(&problems).await;
        added.expect("the store is available");
    }
    for filter in filters() {
        let page = stores
            .other
            .messages(&filter, None, PageSize::MAX, ScanLimit::MAX)
            .await;
        let expected = page.expect("a page can be read").items;
        for size in [1, 7, 500] {
            let found = listed(&*stores.other, &filter, size).await;
            assert_eq!(found, expected, "{filter:?}");
        }
        for (size, scan) in [(1, 1), (3, 2), (500, 10)] {
            let scan = ScanLimit(NonZeroU32::new(scan).expect("more than none"));
            let found = listed_by(&*stores.other, &filter, size, scan).await;
            assert_eq!(found, expected, "{filter:?}, {scan:?}");
        }
    }
}

pub async fn page_of_problems_ends_where_its_scan_does(stores: Counted) {
    let reports = (1..=5).map(|at| {
        let failed = report(&format!("SM{at}")).status("failed").error("63016");
        let channel = if at == 1 { "other" } else { "busy" };
        failed.channel(channel).at(at).build()
    });
    record(&*stores.one, &reports.collect::<Vec<_>>()).await;
    let all = MessageFilter::default();
    let page = stores
        .one
        .messages(&all, None, PageSize::MAX, ScanLimit::MAX)
        .await;
    let problems = entries(&page.expect("a page can be read").items);
    let added = stores.one.list_problems(&problems).await;
    added.expect("the store is available");
    let filter = MessageFilter {
        channel: Some(channel_id("other")),
        error_code: Some(code("63016")),
        ..all
    };
    let scan = ScanLimit(NonZeroU32::new(3).expect("more than none"));
    let page = stores
        .one
        .problem_messages(&filter, None, PageSize::MAX, scan);
    let page = page.await.expect("a page can be read");
    assert_eq!(page.items, []);
    let next = page.next.expect("the scan ended the page");
    assert_eq!(next.key.sid.as_str(), "SM3");
    let page = stores
        .one
        .problem_messages(&filter, Some(&next), PageSize::MAX, scan);
    let page = page.await.expect("a page can be read");
    assert_eq!((page.items.len(), page.next), (1, None));
}

pub async fn problem_is_listed_with_its_step_until_it_changes(stores: Counted) {
    let failed = report("SM1").status("failed").error("63016").at(20);
    record(&*stores.one, &[failed.build()]).await;
    let found = stores.one.message(&key("SM1")).await;
    let found = found.expect("it can be read").expect("it is stored");
    let step = StatisticsStep {
        position: LogPosition(5),
        zone: "UTC".to_owned(),
        counts: IntervalCounts::new(),
        last_arrivals: [].into(),
        problems: entries(std::slice::from_ref(&found.message)),
        recipients: Vec::new(),
        erasures: 0,
    };
    let filter = MessageFilter {
        error_code: Some(code("63016")),
        ..MessageFilter::default()
    };
    let count = async || listed(&*stores.other, &filter, 10).await.len();
    assert_eq!(count().await, 0);
    let refused = stores.one.apply_statistics(Some(LogPosition(1)), &step);
    assert!(!refused.await.expect("the store is available"));
    assert_eq!(count().await, 0);
    let applied = stores.one.apply_statistics(None, &step).await;
    assert!(applied.expect("the store is available"));
    assert_eq!(count().await, 1);
    let earlier = report("SM1").status("sent").at(10).build();
    record(&*stores.one, &[earlier]).await;
    assert_eq!(count().await, 0);
    let found = stores.one.message(&key("SM1")).await;
    let found = found.expect("it can be read").expect("it is stored");
    let added = stores.one.list_problems(&entries(&[found.message])).await;
    added.expect("the store is available");
    assert_eq!(count().await, 1);
}

pub async fn problem_is_removed_with_its_message(stores: Counted) {
    let failed = report("SM1").status("failed").error("63016").at(1).build();
    record(&*stores.one, std::slice::from_ref(&failed)).await;
    let all = MessageFilter::default();
    let page = stores
        .one
        .messages(&all, None, PageSize::MAX, ScanLimit::MAX);
    let problems = entries(&page.await.expect("a page can be read").items);
    let add = async || {
        let added = stores.one.list_problems(&problems).await;
        added.expect("the store is available");
    };
    add().await;
    // Retention removes only reports that others follow.
    let later = report("SM2").status("sent").at(8 * DAY).build();
    record(&*stores.one, &[later]).await;
    changes(&*stores.one, 100, 2).await;
    prune_before(&*stores.one, 5 * DAY).await;
    let budget = NonZeroU32::new(100).expect("a budget");
    let keep = RetentionDays::new(1).expect("a day");
    for _ in 0..3 {
        let pruned = stores.one.prune_messages(time(9 * DAY), keep, budget).await;
        pruned.expect("the store is available");
    }
    let found = stores.one.message(&key("SM1")).await;
    assert_eq!(found.expect("it can be read"), None);
    // An entry of a message that is gone is not made.
    add().await;
    let filter = MessageFilter {
        error_code: Some(code("63016")),
        ..MessageFilter::default()
    };
    record(&*stores.one, &[failed]).await;
    assert_eq!(listed(&*stores.other, &filter, 10).await, []);
}
