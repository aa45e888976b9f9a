//! Listing deliveries.

use std::num::NonZeroU32;

use domain::delivery::DeliveryFilter;
use domain::page::{PageSize, ScanLimit};
use domain::{Delivery, DeliveryKey, DeliveryState, DeliveryStatus, EventType, ReportedStatus};
use ports::ReportStore;

use super::steps::{EventDelivery, claimed, id, listed, listed_in_scans, record};
use crate::builders::{delivery, key, report, subscription_id, time};

pub async fn deliveries_are_listed_newest_first_in_pages_without_gaps(stores: EventDelivery) {
    let all = DeliveryFilter::of(id());
    assert_eq!(listed(&*stores.one, &all, 1).await, []);
    let lease = claimed(&stores).await;
    assert_eq!(listed(&*stores.one, &all, 1).await, []);
    let mut wanted = Vec::new();
    for report_id in (0..30).rev() {
        let moved = delivery(id(), report_id, DeliveryState::Delivered);
        if report_id % 3 == 0 {
            let event_type = EventType::Contradicted;
            wanted.push(Delivery {
                key: DeliveryKey::new(id(), report_id, event_type),
                event_type,
                ..moved.clone()
            });
        }
        wanted.push(moved);
    }
    assert!(record(&*stores.one, &lease, 30, &wanted).await);
    for size in [1, 2, 7, 40, 41, 500] {
        let found = listed(&*stores.other, &all, size).await;
        assert_eq!(found, wanted, "pages of {size}");
    }
    let size = PageSize::new(40).expect("a page size");
    let full = stores
        .one
        .deliveries(&all, None, size, ScanLimit::MAX)
        .await;
    assert_eq!(full.expect("the store is there").next, None);
}

pub async fn every_delivery_filter_selects_matching_deliveries(stores: EventDelivery) {
    let lease = claimed(&stores).await;
    let states = DeliveryState::ALL.into_iter().cycle();
    let types = EventType::ALL.into_iter().cycle();
    let mut all = Vec::new();
    for ((report_id, state), event_type) in (0..60).zip(states).zip(types) {
        all.push(Delivery {
            key: DeliveryKey::new(id(), report_id, event_type),
            event_type,
            created_at: time(report_id / 2),
            ..delivery(id(), report_id, state)
        });
    }
    assert!(record(&*stores.one, &lease, 60, &all).await);
    let any = DeliveryFilter::of(id());
    let mut filters = vec![DeliveryFilter::of(subscription_id(2)), any.clone()];
    filters.extend(DeliveryState::ALL.map(|state| DeliveryFilter {
        state: Some(state),
        ..any.clone()
    }));
    filters.extend(EventType::ALL.map(|event_type| DeliveryFilter {
        event_type: Some(event_type),
        ..any.clone()
    }));
    for (since, until) in [(Some(10), None), (None, Some(10)), (Some(10), Some(20))] {
        for state in [None, Some(DeliveryState::Dead)] {
            filters.push(DeliveryFilter {
                state,
                since: since.map(time),
                until: until.map(time),
                ..any.clone()
            });
        }
    }
    for filter in filters {
        let wanted: Vec<_> = all.iter().rev().filter(|it| filter.passes(it)).collect();
        for size in [3, 100] {
            let found = listed(&*stores.other, &filter, size).await;
            assert!(found.iter().eq(wanted.iter().copied()), "{filter:?}");
        }
    }
}

pub async fn deliveries_of_a_known_message_are_found(stores: EventDelivery) {
    let words = ["queued", "sent", "delivered", "read"];
    for word in words {
        let batch = ["SM1", "SM2"].map(|sid| report(sid).status(word).build());
        let recorded = ReportStore::record(&*stores.one, &batch).await;
        recorded.expect("the store is there");
    }
    let lease = claimed(&stores).await;
    let mut of_first = Vec::new();
    for sid in ["SM1", "SM2"] {
        let found = stores.one.message(&key(sid)).await;
        let found = found.expect("it can be read").expect("it is there").reports;
        let mut deliveries = Vec::new();
        for logged in found {
            let ReportedStatus::Delivery(status) = logged.report.status else {
                panic!("{logged:?}");
            };
            let state = match status {
                DeliveryStatus::Read => DeliveryState::Waiting,
                _ => DeliveryState::Delivered,
            };
            deliveries.push(Delivery {
                event_type: EventType::Moved(status),
                message: key(sid),
                revision: logged.revision,
                ..delivery(id(), logged.id, state)
            });
        }
        assert!(record(&*stores.one, &lease, 1, &deliveries).await);
        if sid == "SM1" {
            deliveries.sort_by_key(|it| std::cmp::Reverse(it.key));
            of_first = deliveries;
        }
    }
    let filter = DeliveryFilter {
        message: Some(key("SM1")),
        ..DeliveryFilter::of(id())
    };
    for size in [1, 3, 100] {
        assert_eq!(listed(&*stores.other, &filter, size).await, of_first);
    }
    let waiting = DeliveryFilter {
        state: Some(DeliveryState::Waiting),
        ..filter.clone()
    };
    let wanted = of_first.iter().filter(|it| it.state.is_pending());
    assert!(
        listed(&*stores.other, &waiting, 100)
            .await
            .iter()
            .eq(wanted)
    );
    let unknown = DeliveryFilter {
        message: Some(key("SM3")),
        ..filter
    };
    assert_eq!(listed(&*stores.other, &unknown, 100).await, []);
}

pub async fn a_page_of_deliveries_ends_where_its_scan_does(stores: EventDelivery) {
    let lease = claimed(&stores).await;
    let deliveries = (1..=9).map(|report_id| {
        let event_type = match report_id {
            3 => EventType::Contradicted,
            _ => EventType::Moved(DeliveryStatus::Sent),
        };
        let state = match report_id {
            8 | 9 => DeliveryState::Dead,
            _ => DeliveryState::Delivered,
        };
        Delivery {
            key: DeliveryKey::new(id(), report_id, event_type),
            event_type,
            ..delivery(id(), report_id, state)
        }
    });
    let deliveries: Vec<_> = deliveries.collect();
    assert!(record(&*stores.one, &lease, 9, &deliveries).await);
    let filter = DeliveryFilter {
        event_type: Some(EventType::Contradicted),
        state: Some(DeliveryState::Delivered),
        ..DeliveryFilter::of(id())
    };
    let (size, scan) = (PageSize::MAX, scan(3));
    let mut after = None;
    // Those in another state are not examined.
    for (found, last_examined) in [(vec![], Some(5)), (vec![3], Some(2)), (vec![], None)] {
        let page = stores.other.deliveries(&filter, after, size, scan).await;
        let page = page.expect("the store is there");
        let reports = page.items.iter().map(|delivery| delivery.key.report_id);
        assert_eq!(reports.collect::<Vec<_>>(), found);
        assert_eq!(page.next.map(|next| next.report_id), last_examined);
        after = page.next;
    }
}

pub async fn deliveries_in_short_scans_have_no_gaps_or_repetitions(stores: EventDelivery) {
    let lease = claimed(&stores).await;
    let states = DeliveryState::ALL.into_iter().cycle();
    let types = EventType::ALL.into_iter().cycle();
    let mut all = Vec::new();
    for ((report_id, state), event_type) in (0..60).zip(states).zip(types) {
        all.push(Delivery {
            key: DeliveryKey::new(id(), report_id, event_type),
            event_type,
            created_at: time(report_id / 2),
            ..delivery(id(), report_id, state)
        });
    }
    assert!(record(&*stores.one, &lease, 60, &all).await);
    all.reverse();
    let states = DeliveryState::ALL.into_iter().map(Some).chain([None]);
    for state in states {
        let filter = DeliveryFilter {
            state,
            event_type: Some(EventType::Contradicted),
            since: Some(time(3)),
            until: Some(time(28)),
            ..DeliveryFilter::of(id())
        };
        let expected: Vec<_> = all.iter().filter(|it| filter.passes(it)).collect();
        for (size, limit) in [(1, 1), (2, 5), (500, 4), (500, 15), (500, 60), (500, 61)] {
            let found = listed_in_scans(&*stores.other, &filter, size, scan(limit)).await;
            assert!(
                found.iter().eq(expected.iter().copied()),
                "{filter:?}, {limit}"
            );
        }
    }
}

fn scan(deliveries: u32) -> ScanLimit {
    ScanLimit(NonZeroU32::new(deliveries).expect("more than none"))
}
