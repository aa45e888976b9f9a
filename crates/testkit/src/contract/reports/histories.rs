//! The state that a history of reports leads to, without concurrent writers.

use std::sync::Arc;

use domain::seen_reports::MAX_FINGERPRINTS;
use domain::{Effect, Report};
use ports::ReportStore;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::model::{Model, message, record};
use crate::builders::{key, key_on, report, time, twilio_sid};
use crate::contract::Stores;

type Reports = Stores<dyn ReportStore>;

/// Any report of one of a few messages on one of two channels.
fn any_report() -> impl Strategy<Value = Report> {
    let words = "accepted scheduled queued sending sent partially_delivered canceled failed \
                 undelivered delivered read failed undelivered delivered read receiving received \
                 teleported DELIVERED zugestellt";
    let words: Vec<_> = words.split_whitespace().collect();
    let codes = vec![None, None, None, Some("63016"), Some("63024"), Some("X-1")];
    (
        prop::sample::select(vec!["1", "2"]),
        0..12_u64,
        prop::sample::select(words),
        prop::sample::select(codes),
        0..40_i64,
        0..4_u8,
    )
        .prop_map(|(channel, sid, word, code, at, party)| {
            let sid = if sid < 9 {
                twilio_sid(sid)
            } else {
                format!("id-{sid}")
            };
            let report = report(&sid)
                .channel(channel)
                .status(word)
                .at(1_795_370_777_000_000 + at)
                .to(&format!("whatsapp:+1555010000{party}"))
                .credential(u128::from(party))
                .fields([("AccountSid", "AC1"), ("Body", word)]);
            match code {
                Some(code) => report
                    .error_with_text(code, "wörds of the integrator")
                    .build(),
                None => report.build(),
            }
        })
}

pub async fn random_histories_lead_to_the_state_of_the_domain(stores: Reports) {
    let mut model = Model::default();
    let mut runner = TestRunner::deterministic();
    let batch = prop::collection::vec(any_report(), 1..60);
    for number in 0..40 {
        let batch = batch.new_tree(&mut runner).expect("a batch").current();
        let effects = record(&*stores.nth(number), &batch).await;
        assert_eq!(effects, model.record(&batch), "batch {number}: {batch:#?}");
    }
    model.assert_is_in(&*stores.one).await;
}

pub async fn a_batch_may_have_several_reports_of_one_message(stores: Reports) {
    let words = ["sent", "read", "delivered", "sent", "failed", "accepted"];
    let words = words.into_iter().zip(1..);
    let batch: Vec<_> = words
        .map(|(word, at)| report("SM1").status(word).at(at).build())
        .collect();
    let effects = record(&*stores.one, &batch).await;
    assert_eq!(
        effects,
        [
            Effect::Advanced,
            Effect::Advanced,
            Effect::Late,
            Effect::Duplicate,
            Effect::Late,
            Effect::Late
        ]
    );
    Model::of(&batch).assert_is_in(&*stores.one).await;
}

pub async fn a_duplicate_is_counted_and_not_logged_again(stores: Reports) {
    let failed = |code: &str, at| report("SM1").status("failed").error(code).at(at).build();
    let batches = [
        vec![failed("63016", 1), failed("63016", 2), failed("63024", 3)],
        vec![failed("63016", 4)],
        vec![
            failed("63024", 5),
            report("SM1").status("failed").at(6).build(),
        ],
        vec![report("SM1").status("teleported").at(7).build()],
        vec![report("SM1").status("teleported").at(8).build()],
    ];
    let mut model = Model::default();
    let mut effects = Vec::new();
    for batch in &batches {
        model.record(batch);
        effects.extend(record(&*stores.one, batch).await);
    }
    assert_eq!(
        effects,
        [
            Effect::Advanced,
            Effect::Duplicate,
            Effect::Late,
            Effect::Duplicate,
            Effect::Duplicate,
            Effect::Late,
            Effect::UnknownStatus,
            Effect::Duplicate
        ]
    );
    let message = message(&*stores.one, &key("SM1")).await;
    assert_eq!((message.revision(), message.duplicates), (4, 4));
    assert_eq!(
        message.last_reported_at,
        time(8),
        "a duplicate is heard of too"
    );
    model.assert_is_in(&*stores.one).await;
}

/// Failed reports of `SM1` with these error codes, and now and then one without a code.
fn many_codes(codes: std::ops::Range<usize>) -> Vec<Report> {
    let plain = ["sent", "delivered", "read", "queued", "accepted"];
    codes
        .map(|code| {
            let at = 1_000 + i64::try_from(code).expect("small");
            let report = report("SM1").at(at);
            if code % 37 == 5 {
                report.status(plain[code / 37 % plain.len()]).build()
            } else {
                report.status("failed").error(&format!("C{code}")).build()
            }
        })
        .collect()
}

pub async fn different_reports_beyond_the_limit_are_counted_as_duplicates(stores: Reports) {
    let max = usize::from(MAX_FINGERPRINTS);
    // In parts that reach the limit in the midst of a batch, that repeat what was seen and what was
    // not, and in one batch.
    let histories = [
        vec![0..max / 2, max / 4..max + 9, max - 9..2 * max, 0..max],
        vec![0..1, 0..max, 0..3 * max],
        vec![0..3 * max, 0..1],
    ];
    for (channel, batches) in ["1", "2", "3"].into_iter().zip(histories) {
        let mut model = Model::default();
        for codes in batches {
            let mut batch = many_codes(codes);
            for report in &mut batch {
                report.key = key_on(channel, "SM1");
            }
            let effects = record(&*stores.one, &batch).await;
            assert_eq!(effects, model.record(&batch));
        }
        let message = message(&*stores.one, &key_on(channel, "SM1")).await;
        assert_eq!(message.seen.fingerprints().len(), max);
        assert_eq!(vec![message], model.messages());
    }
}

pub async fn recording_a_batch_is_idempotent(stores: Reports) {
    let words = ["queued", "sent", "teleported", "received"];
    let batch: Vec<_> = (0..25)
        .flat_map(|n| words.map(|word| report(&twilio_sid(n)).status(word).build()))
        .collect();
    record(&*stores.one, &batch).await;
    let again = record(&*stores.one, &batch).await;
    assert!(again.iter().all(|effect| *effect == Effect::Duplicate));
    Model::of(batch.iter().chain(&batch))
        .assert_is_in(&*stores.one)
        .await;
}

pub async fn the_same_sid_on_another_channel_is_another_message(stores: Reports) {
    let here = report("SM1").channel("1").status("read").build();
    let there = report("SM1").channel("2").status("sent").build();
    let effects = record(&*stores.one, &[here.clone(), there.clone()]).await;
    assert_eq!(effects, [Effect::Advanced; 2]);
    assert_eq!(
        message(&*stores.one, &key_on("1", "SM1")).await,
        Model::of([&here]).messages()[0]
    );
    assert_eq!(
        message(&*stores.one, &key_on("2", "SM1")).await,
        Model::of([&there]).messages()[0]
    );
}

pub async fn an_earlier_report_recorded_later_sets_first_times_and_parties(stores: Reports) {
    let failed = |at, code: &str, to: &str| {
        report("SM1")
            .status("failed")
            .error(code)
            .at(at)
            .to(to)
            .build()
    };
    let history = [
        failed(30, "63016", "whatsapp:+3"),
        failed(20, "63024", "whatsapp:+2"),
        failed(10, "63016", "whatsapp:+1"),
        failed(40, "63032", "whatsapp:+4"),
    ];
    for report in &history {
        record(&*stores.one, std::slice::from_ref(report)).await;
    }
    let message = message(&*stores.one, &key("SM1")).await;
    assert_eq!(message.parties.first_reported_at, time(10));
    assert_eq!(message.parties.recipient.reveal(), "whatsapp:+1");
    assert_eq!(message.last_reported_at, time(40));
    let error = message.state.error().expect("a failure with a code");
    assert_eq!(
        error.reported_at,
        time(10),
        "a duplicate that came earlier counts"
    );
    Model::of(&history).assert_is_in(&*stores.one).await;
}

pub async fn an_empty_batch_has_no_effect(stores: Reports) {
    assert_eq!(record(&*stores.one, &[]).await, []);
    Model::default().assert_is_in(&*stores.one).await;
}

pub async fn an_unknown_message_is_none(stores: Reports) {
    record(&*stores.one, &[report("SM1").build()]).await;
    for key in [key("SM2"), key_on("2", "SM1")] {
        let found = stores.one.message(&key).await;
        assert_eq!(found.expect("absence is no error"), None);
    }
}

pub async fn the_reports_of_a_message_are_listed_in_recording_order(stores: Reports) {
    // Other messages in between, so that its reports are not adjacent in the log.
    let words = ["read", "sent", "delivered", "queued", "accepted", "failed"];
    let mut history = Vec::new();
    for (number, word) in (0..).zip(words) {
        let ours = report("SM1").status(word).at(100 - number).build();
        let others = report(&format!("SM{}", 10 + number)).build();
        let batch = if number % 2 == 0 {
            [ours, others]
        } else {
            [others, ours]
        };
        record(&*stores.nth(history.len() / 2), &batch).await;
        history.extend(batch);
    }
    let found = stores
        .one
        .message(&key("SM1"))
        .await
        .expect("it can be read");
    let found = found.expect("it is there").reports;
    let found: Vec<_> = found
        .iter()
        .map(|logged| logged.report.status.as_str())
        .collect();
    assert_eq!(found, words);
    Model::of(&history).assert_is_in(&*stores.one).await;
}

pub async fn another_store_on_the_same_data_sees_what_was_recorded(stores: Reports) {
    let history = [
        report("SM1").status("sent").build(),
        report("SM1").status("sent").build(),
    ];
    let [first, second] = history.each_ref().map(std::slice::from_ref);
    assert_eq!(record(&*stores.one, first).await, [Effect::Advanced]);
    assert_eq!(record(&*stores.other, second).await, [Effect::Duplicate]);
    for store in [&stores.one, &stores.other] {
        Model::of(&history).assert_is_in(&**store).await;
    }
}

pub async fn a_store_that_can_record_answers_ping(stores: Reports) {
    for store in [Arc::clone(&stores.one), stores.other] {
        store.ping().await.expect("it could record");
    }
    record(&*stores.one, &[report("SM1").build()]).await;
    stores.one.ping().await.expect("it could record");
}
