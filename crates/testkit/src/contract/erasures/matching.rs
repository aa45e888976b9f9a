//! What an erasure removes, and what it leaves unchanged.

use domain::erasure::{ErasureReason, RequestedVia};
use domain::page::{MessageFilter, PageSize, ScanLimit};
use domain::{Delivery, DeliveryState, Erasure, LogPosition, Report};
use ports::subscriptions::{Progress, Renewal};
use ports::{DeliveryQueue, SubscriptionStore};
use tokio::task::JoinSet;

use super::steps::{Erasing, NUMBER, begin, entries, erase, finish, history, id, message};
use crate::builders::{
    NOT_SPELLINGS, SPELLINGS, delivery, key, recipient, report, subscription, subscription_id,
    time, twilio_sid,
};
use crate::contract::reports::record;
use crate::contract::subscriptions::LONG;

pub async fn an_erased_recipient_is_not_found(stores: Erasing) {
    record(&*stores.one, &history()).await;
    let erasure = erase(&stores, 1).await;
    let wanted = Erasure {
        id: id(1),
        asked_at: time(100),
        asked_through: RequestedVia::Api,
        reason: ErasureReason::parse("ticket 4711").ok(),
        masked: "+***7777".to_owned(),
        looked_at: 11 + 8,
        messages: 6,
        reports: 9,
        deliveries: 0,
        finished_at: Some(time(200)),
    };
    assert_eq!(erasure, wanted);
    for number in 0..6 {
        let (message, reports) = message(&*stores.one, &format!("SM{number}")).await;
        assert!(message.is_erased());
        for report in &reports {
            assert_eq!(report, &report.erased());
        }
    }
    let entries = entries(&stores, 11).await;
    let erased = entries.iter().take(9);
    assert!(
        erased
            .clone()
            .all(|it| it.report.report.recipient.is_erased())
    );
    for form in [NUMBER, "whatsapp:US.1349802745130002"] {
        let filter = MessageFilter {
            recipient: Some(recipient(form)),
            ..MessageFilter::default()
        };
        let listed = stores
            .one
            .messages(&filter, None, PageSize::default(), ScanLimit::MAX)
            .await;
        assert_eq!(listed.expect("it can be read").items, []);
    }
}

pub async fn a_recipient_is_erased_in_every_spelling(stores: Erasing) {
    let in_field = |text: &str, n| report(&twilio_sid(n)).fields([("a", "b"), ("WaId", text)]);
    let mut reports = Vec::new();
    for (text, n) in SPELLINGS.into_iter().zip(0..) {
        reports.push(report(&twilio_sid(n)).to(text).build());
        reports.push(in_field(text, 100 + n).build());
    }
    for (text, n) in NOT_SPELLINGS.into_iter().zip(200..) {
        reports.push(report(&twilio_sid(n)).to(text).build());
        reports.push(in_field(text, 100 + n).build());
    }
    record(&*stores.one, &reports).await;
    let erasure = erase(&stores, 1).await;
    let named = 2 * u64::try_from(SPELLINGS.len()).expect("few");
    assert_eq!(erasure.messages, named);
    for report in &reports {
        let sid = report.key.sid.as_str();
        let (message, found) = message(&*stores.one, sid).await;
        let number = u64::from_str_radix(&sid[2..], 16).expect("a number");
        let wanted = if number < 200 {
            report.erased()
        } else {
            report.clone()
        };
        assert_eq!(found, [wanted], "{:?}", report.recipient.reveal());
        assert_eq!(message.is_erased(), number < 200);
    }
}

pub async fn messages_that_do_not_name_the_recipient_are_unchanged(stores: Erasing) {
    record(&*stores.one, &history()).await;
    let mut messages = Vec::new();
    for number in 0..8 {
        messages.push(message(&*stores.one, &format!("SM{number}")).await);
    }
    let mut log = entries(&stores, 11).await;
    erase(&stores, 1).await;
    for (number, (mut before, mut reports)) in messages.into_iter().enumerate() {
        if number < 6 {
            before.erase();
            reports.iter_mut().for_each(Report::erase);
        }
        let after = message(&*stores.one, &format!("SM{number}")).await;
        assert_eq!(after, (before, reports));
    }
    for entry in &mut log[..9] {
        entry.before.erase_words();
        entry.report.report.erase();
    }
    assert_eq!(entries(&stores, 11).await, log);
}

pub async fn later_reports_of_an_erased_message_are_stored_erased(stores: Erasing) {
    let (first, rest) = (&history()[..1], &history()[1..2]);
    record(&*stores.one, first).await;
    erase(&stores, 1).await;
    let (mut model, mut logged) = message(&*stores.one, "SM0").await;
    let fields = [("To", NUMBER)];
    let of_it = || report("SM0").to("whatsapp:+15550107777").fields(fields);
    let batches = [
        rest.to_vec(),
        vec![
            of_it()
                .status("undelivered")
                .error_with_text("63024", NUMBER)
                .at(7)
                .build(),
            of_it().status("sent").at(5).build(),
            of_it().status("read").build(),
        ],
        vec![of_it().status("odd").at(i64::MAX / 1_000).build()],
    ];
    for batch in batches {
        let wanted: Vec<_> = batch.iter().map(|report| model.absorb(report)).collect();
        assert_eq!(record(&*stores.other, &batch).await, wanted);
        let new = batch.iter().zip(&wanted);
        let new = new.filter(|(_, effect)| **effect != domain::Effect::Duplicate);
        logged.extend(new.map(|(report, _)| report.erased()));
        let found = message(&*stores.one, "SM0").await;
        assert_eq!(found, (model.clone(), logged.clone()));
    }
    assert!(model.is_erased());
}

pub async fn messages_first_reported_after_the_erasure_are_unchanged(stores: Erasing) {
    record(&*stores.one, &history()).await;
    erase(&stores, 1).await;
    let new = report("SM9").to(NUMBER).fields([("To", NUMBER)]).build();
    record(&*stores.one, std::slice::from_ref(&new)).await;
    let (found, reports) = message(&*stores.one, "SM9").await;
    assert_eq!(found.parties.recipient, new.recipient);
    assert_eq!(reports, [new]);
    let erasure = erase(&stores, 2).await;
    assert_eq!((erasure.messages, erasure.reports), (1, 1));
}

pub async fn the_aliases_of_an_erased_message_are_removed(stores: Erasing) {
    let of = |sid: &str| report(sid).to(NUMBER).status("sent");
    let named = of("gs-1").alias("wamid.1").build();
    let other = report("gs-2").alias("wamid.2").status("sent").build();
    record(&*stores.one, &[named.clone(), other]).await;
    entries(&stores, 2).await;
    erase(&stores, 1).await;
    // A later report with both ids does not teach it again.
    let later = of("gs-1").alias("wamid.1").status("delivered").build();
    record(&*stores.one, &[later, named]).await;
    for (alias, is_joined) in [("wamid.1", false), ("wamid.2", true)] {
        let read = report(alias).maybe_alias().status("read").build();
        record(&*stores.one, &[read]).await;
        let found = stores.one.message(&key(alias)).await.expect("readable");
        assert_eq!(found.is_none(), is_joined, "{alias}");
    }
}

pub async fn pending_deliveries_are_given_up_and_leases_are_lost(stores: Erasing) {
    let store = &*stores.one;
    record(store, &history()).await;
    let added = SubscriptionStore::add(store, &subscription(1), LogPosition::START).await;
    assert!(added.expect("the store is there"));
    let leased = claim(&stores).await;
    let mut all: Vec<_> = (0..8)
        .map(|n| Delivery {
            message: key(&format!("SM{n}")),
            ..delivery(subscription_id(1), n, DeliveryState::Retrying)
        })
        .collect();
    let progress = |deliveries| Progress {
        position: LogPosition(8),
        failing_since: None,
        deliveries,
    };
    let recorded = DeliveryQueue::record(store, &leased, progress(&all)).await;
    assert!(recorded.expect("the store is there"));
    assert_eq!(erase(&stores, 1).await.deliveries, 6);
    let renewed = store.renew(&leased, LONG).await;
    assert_eq!(renewed.expect("the store is there"), Renewal::Lost);
    let recorded = DeliveryQueue::record(store, &leased, progress(&all)).await;
    assert!(!recorded.expect("the store is there"));
    for delivery in &mut all[..6] {
        delivery.erase(time(200));
    }
    for delivery in &all {
        let found = store.delivery(delivery.key).await;
        assert_eq!(found.expect("it can be read").as_ref(), Some(delivery));
    }
}

async fn claim(stores: &Erasing) -> ports::subscriptions::Lease {
    let claimed = stores.one.claim("worker", LONG).await;
    let claimed = claimed.expect("the store is there");
    claimed.expect("it is free").lease
}

pub async fn an_erasure_without_matches_does_not_revoke_leases(stores: Erasing) {
    let store = &*stores.one;
    record(store, &history()[9..]).await;
    let added = SubscriptionStore::add(store, &subscription(1), LogPosition::START).await;
    assert!(added.expect("the store is there"));
    let lease = claim(&stores).await;
    assert_eq!(erase(&stores, 1).await.messages, 0);
    let renewed = store.renew(&lease, LONG).await;
    assert_eq!(renewed.expect("the store is there"), Renewal::Renewed);
}

pub async fn reports_recorded_during_an_erasure_do_not_restore_the_address(stores: Erasing) {
    const MESSAGES: u64 = 40;
    let of_all = |status: &str| -> Vec<Report> {
        let of_it = |n| report(&twilio_sid(n)).to(NUMBER).fields([("To", NUMBER)]);
        (0..MESSAGES)
            .map(|n| of_it(n).status(status).build())
            .collect()
    };
    record(&*stores.one, &of_all("queued")).await;
    begin(&*stores.one, 1).await;
    let mut racers = JoinSet::new();
    for (racer, status) in ["sending", "sent", "delivered", "read"]
        .into_iter()
        .enumerate()
    {
        let (store, batch) = (stores.nth(racer), of_all(status));
        racers.spawn(async move {
            for part in batch.chunks(3) {
                record(&*store, part).await;
            }
        });
    }
    let erasing = stores.other.clone();
    racers.spawn(async move { drop(finish(&*erasing, 1, 7).await) });
    racers.join_all().await;
    for n in 0..MESSAGES {
        let (message, reports) = message(&*stores.one, &twilio_sid(n)).await;
        assert!(message.is_erased() && message.revision() == 5);
        assert_eq!(reports.len(), 5);
        assert!(
            reports.iter().all(|report| *report == report.erased()),
            "{reports:#?}"
        );
    }
}
