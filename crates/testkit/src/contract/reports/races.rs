//! Concurrent writers.

use std::collections::BTreeSet;

use domain::{Effect, Message, Report};
use ports::ReportStore;
use tokio::task::JoinSet;

use super::model::{Model, record};
use crate::builders::{key, report, twilio_sid};
use crate::contract::Stores;

type Reports = Stores<dyn ReportStore>;

/// Records each batch in a task of its own, all at once, now on the one store
/// and now on the other, and gives all effects.
async fn race(stores: &Reports, batches: Vec<Vec<Report>>) -> Vec<Effect> {
    let mut racers = JoinSet::new();
    for (number, batch) in batches.into_iter().enumerate() {
        let store = stores.nth(number);
        racers.spawn(async move { record(&*store, &batch).await });
    }
    racers.join_all().await.concat()
}

/// What does not depend on the order of the reports.
fn unordered(message: &Message) -> (Message, BTreeSet<i64>) {
    let prints = message.seen.fingerprints().iter().copied().collect();
    let seen = domain::seen_reports::SeenReports::from_parts(message.seen.mask(), Vec::new());
    (
        Message {
            seen,
            ..message.clone()
        },
        prints,
    )
}

/// Fails unless every message has the state that the domain computes for these reports, and its
/// log has the reports that led to it, in the order of revisions.
async fn assert_lossless(store: &dyn ReportStore, reports: &[Report]) {
    for want in Model::of(reports).messages() {
        let found = store.message(&want.key).await.expect("it can be read");
        let found = found.expect("the message is there");
        assert_eq!(unordered(&found.message), unordered(&want));

        let revisions = found.reports.iter().map(|logged| logged.revision);
        let count = i64::try_from(want.revision()).expect("few reports");
        assert_eq!(
            revisions.collect::<Vec<_>>(),
            (1..=count).collect::<Vec<_>>()
        );
        let log: Vec<_> = found
            .reports
            .iter()
            .map(|logged| logged.report.clone())
            .collect();
        let effects: Vec<_> = found.reports.iter().map(|logged| logged.effect).collect();
        assert_eq!(Model::default().record(&log), effects);
    }
}

pub async fn many_writers_on_one_message_lose_nothing(stores: Reports) {
    let words = "accepted scheduled queued sending sent partially_delivered canceled failed \
                 undelivered delivered read receiving received teleported beamed failed";
    let words: Vec<_> = words.split_whitespace().collect();
    let batches: Vec<_> = (0..32)
        .map(|racer| {
            let report = report("SM1")
                .status(words[racer % words.len()])
                .at(i64::try_from(1_000 - racer * 7).expect("small"))
                .to(&format!("whatsapp:+{racer}"));
            if racer == 15 {
                vec![report.error("63016").build()]
            } else {
                vec![report.build()]
            }
        })
        .collect();
    let effects = race(&stores, batches.clone()).await;
    // Fifteen statuses, and `failed` once more with an error code.
    let duplicates = effects
        .iter()
        .filter(|effect| **effect == Effect::Duplicate);
    assert_eq!((effects.len(), duplicates.count()), (32, 16));
    assert_lossless(&*stores.one, &batches.concat()).await;
    let found = stores
        .other
        .message(&key("SM1"))
        .await
        .expect("it can be read");
    let found = found.expect("it is there").message;
    assert_eq!((found.revision(), found.duplicates), (16, 16));
}

pub async fn batches_in_opposite_orders_neither_deadlock_nor_fail(stores: Reports) {
    let words = ["queued", "sent", "delivered", "read"];
    let batches: Vec<Vec<_>> = (0..24_usize)
        .map(|racer| {
            let word = words[racer % words.len()];
            let mut sids: Vec<u64> = (0..40).collect();
            if racer % 2 == 1 {
                sids.reverse();
            }
            sids.rotate_left(racer);
            let reports = sids
                .into_iter()
                .map(|sid| report(&twilio_sid(sid)).status(word));
            reports
                .map(|report| {
                    report
                        .at(1_000 + i64::try_from(racer).expect("small"))
                        .build()
                })
                .collect()
        })
        .collect();
    race(&stores, batches.clone()).await;
    assert_lossless(&*stores.one, &batches.concat()).await;
}

pub async fn a_batch_raced_by_its_repetition_is_recorded_once(stores: Reports) {
    let reports = (0..50).map(|sid| report(&twilio_sid(sid)).status("sent").build());
    let batch: Vec<_> = reports.collect();
    let effects = race(&stores, vec![batch.clone(); 4]).await;
    let advanced = effects.iter().filter(|effect| **effect == Effect::Advanced);
    assert_eq!(advanced.count(), batch.len());
    assert_lossless(&*stores.one, &vec![batch; 4].concat()).await;
}
